"""Which requests draw on which buckets, and how large these are.

Reads are not limited, apart from the few that cost a lot: counting would cost more than most reads do, and
clients that have no event stream ask for the progress every second or two.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType


class By(StrEnum):
    """Whose bucket a request draws on."""

    USER = "user"
    ADDRESS = "address"  #                    the network address it comes from
    ACCOUNT = "account"  #                    the account somebody wants to sign in to
    ACCOUNT_AND_ADDRESS = "account+address"


@dataclass(frozen=True, slots=True)
class Rule:
    """`count` requests at once, and as many again in every `period`; one comes back each `period / count`."""

    name: str
    by: By
    count: int
    period: timedelta
    is_given_back: bool = False
    """Whether only failures count: the token is given back unless the answer is 401."""


_MINUTE = timedelta(minutes=1)
_HOUR = timedelta(hours=1)

#: Every limit there is, with its default; RATE_LIMITS changes or lifts them.
DEFAULTS = (
    Rule("signup", By.ADDRESS, 120, _HOUR),
    Rule("login", By.ADDRESS, 120, _MINUTE),
    # Tried in this order: a stranger's guesses end at his own small bucket, and drain the account's no further.
    Rule("login_failures_here", By.ACCOUNT_AND_ADDRESS, 10, timedelta(minutes=15), is_given_back=True),
    Rule("login_failures", By.ACCOUNT, 200, _HOUR, is_given_back=True),
    Rule("refresh", By.ADDRESS, 120, _MINUTE),
    Rule("connect", By.USER, 30, _MINUTE),
    Rule("consent", By.ADDRESS, 120, _MINUTE),
    Rule("sync", By.USER, 60, _MINUTE),
    # A workspace that talks a lot, through the few addresses its provider calls from.
    Rule("webhooks", By.ADDRESS, 3000, _MINUTE),
    Rule("search", By.USER, 30, _MINUTE),
    Rule("upload_url", By.USER, 30, _MINUTE),
    Rule("api_keys", By.USER, 20, _MINUTE),
    Rule("changes", By.USER, 300, _MINUTE),
)

#: (method, route) -> names of the limits it draws on, in this order. Any other change draws on `changes`.
ROUTES = MappingProxyType(
    {
        ("POST", "/api/auth/signup"): ("signup",),
        ("POST", "/api/auth/sign-up"): ("signup",),
        ("POST", "/api/auth/login"): ("login", "login_failures_here", "login_failures"),
        ("POST", "/api/auth/sign-in"): ("login", "login_failures_here", "login_failures"),
        ("POST", "/api/auth/refresh"): ("refresh",),
        ("POST", "/api/auth/api-keys"): ("api_keys",),
        ("GET", "/api/integrations/<connector_type>/auth"): ("connect",),
        ("GET", "/api/integrations/<connector_type>/begin"): ("consent",),
        ("POST", "/api/integrations/<connector_type>/begin"): ("consent",),
        ("POST", "/api/integrations/<connector_type>/sync"): ("sync",),
        ("POST", "/api/integrations/<connector_type>/token"): ("connect",),
        ("GET", "/api/integrations/<connector_type>/choices"): ("connect",),
        ("GET", "/api/integrations/slack/channels"): ("connect",),
        ("GET", "/api/integrations/github/repositories"): ("connect",),
        ("POST", "/api/webhooks/<connector_type>"): ("webhooks",),
        ("POST", "/api/webhooks/<connector_type>/<address>"): ("webhooks",),
        ("POST", "/api/search"): ("search",),
        ("POST", "/api/search/stream"): ("search",),
        ("GET", "/api/desk/ask"): ("search",),
        ("POST", "/api/documents/upload-url"): ("upload_url",),
    }
)

CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class Rules:
    """The limits of one installation: the defaults, changed by (name, count, seconds); a count of 0 lifts one.

    Raises ValueError for a name that is no limit's.
    """

    def __init__(self, changed: Iterable[tuple[str, int, int]] = ()) -> None:
        rules = {rule.name: rule for rule in DEFAULTS}
        for name, count, seconds in changed:
            if name not in rules:
                raise ValueError(f"RATE_LIMITS: there is no limit {name!r}; there are {', '.join(rules)}")
            rules[name] = replace(rules[name], count=count, period=timedelta(seconds=seconds))
        self._rules: Mapping[str, Rule] = {name: rule for name, rule in rules.items() if rule.count}

    def of(self, method: str, route: str, *, is_signed_in: bool) -> tuple[Rule, ...]:
        """What a request of `route` draws on, in this order; nothing for most."""
        usual = ("changes",) if is_signed_in and method in CHANGING else ()
        names = ROUTES.get((method, route), usual)
        return tuple(self._rules[name] for name in names if name in self._rules)
