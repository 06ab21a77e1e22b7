"""Calls to Slack's Web API, and downloads of files.

`Conversation` and not slack-sdk: its client reads answers of any size into memory, opens a connection for every call,
and downloads no files; what is left of it is names of methods.

Slack answers most refusals with status 200 and `{"ok": false, "error": code}`.
https://docs.slack.dev/apis/web-api, https://docs.slack.dev/apis/web-api/rate-limits
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final

import httpx2

from backend.connectors.providers.contract import (
    CredentialsRejected,
    ItemUnreadable,
    ProviderRefused,
    ProviderUnavailable,
    RateLimited,
)
from backend.connectors.providers.conversation import (
    MAX_FILE_BYTES,
    TIMEOUT,
    Conversation,
    TryAgain,
    refusal_of,
    resume_at,
    too_large,
)

#: Where Slack itself keeps files. The token goes there and to the API's own origin, nowhere else.
FILE_HOST: Final = "files.slack.com"

#: What Slack hands out at a time, once a minute, to apps sold outside its marketplace.
LIMITED: Final = 15

_REJECTED: Final = frozenset(
    {
        "invalid_auth",
        "not_authed",
        "account_inactive",
        "token_revoked",
        "token_expired",
        "user_removed_from_team",
    }
)
_UNAVAILABLE: Final = frozenset(
    {"internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org", "external_channel_migrating"}
)  # fmt: skip
_REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "not_in_channel": "The Slack app is not a member of this channel; invite it there.",
        "channel_not_found": "Slack has no such channel, or hides it from the app.",
        "is_archived": "The channel is archived.",
        "not_allowed_token_type": "Slack does not accept this kind of token; a bot token is needed.",
        "org_login_required": "The workspace is being moved into an organisation; Slack opens it again afterwards.",
        "ekm_access_denied": "The organisation's administrators have suspended access to this content.",
        "accesslimited": "The workspace does not let this network in.",
        "team_access_not_granted": "The app has no access to this workspace.",
        "no_permission": "The Slack app may not read this.",
        "enterprise_is_restricted": "The organisation does not let the app read this.",
        "missing_post_type": "Slack did not understand the request.",
    }
)


class SlackRefused(ProviderRefused):
    """Slack refused the request."""

    def __init__(self, error: str, message: str | None = None) -> None:
        super().__init__(message)
        #: Slack's own code, such as `not_in_channel`.
        self.error = error


class SlackClient:
    """One token's conversation with Slack. Not shared between threads; close it."""

    def __init__(self, api_base: str, access_token: str) -> None:
        self._headers = {"Authorization": f"Bearer {access_token}"}
        self._api = Conversation(api_base, headers=self._headers, refusal=_api_refusal)
        self._files: Conversation | None = None
        #: Origin of the API.
        self.base = self._api.base
        self._origin = _origin(httpx2.URL(self._api.base))
        #: Whether Slack hands this app fifteen messages a minute, as it does to apps sold outside its marketplace.
        self.is_limited = False
        #: Slack's own clock as of the last answer.
        self.now = datetime.now(UTC)
        #: Scopes of the token as of the last answer; empty if Slack did not name them.
        self.scopes: tuple[str, ...] = ()

    def close(self) -> None:
        """Close the connections."""
        self._api.close()
        if self._files is not None:
            self._files.close()

    def call(self, method: str, **arguments: str | int | None) -> Mapping[str, Any]:
        """The answer to a method that may be called again without harm; arguments that are None are left out.

        Raises CredentialsRejected, RateLimited, ProviderUnavailable, or SlackRefused with Slack's code.
        """
        form = {name: str(value) for name, value in arguments.items() if value is not None}
        response, answer = self._api.request_json("POST", f"/api/{method}", form=form)
        self._note(response)
        if not isinstance(answer, dict):
            raise ProviderUnavailable
        if answer.get("ok") is not True:
            raise error_of(answer, response)
        return answer

    def download(self, url: str, mime_type: str) -> bytes:
        """A file at its `url_private`. Raises ItemUnreadable, ItemGone and what `call` raises."""
        if not self._is_trusted(url):
            raise ItemUnreadable("The file is kept outside Slack.")
        if self._files is None:
            # A redirect of a file leads to a sign-in page at best: it is not followed, with the token or without.
            http = httpx2.Client(timeout=TIMEOUT, follow_redirects=False)
            self._files = Conversation(self.base, headers=self._headers, refusal=_file_refusal, http=http)
        response, body = self._files.request("GET", url, max_bytes=MAX_FILE_BYTES, too_large=too_large)
        served = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        # Without `files:read` Slack shows its sign-in page, with status 200.
        if served != mime_type and served in ("text/html", "application/json"):
            raise ItemUnreadable("Slack does not hand this file over; the app may lack the scope files:read.")
        return body

    def _is_trusted(self, url: str) -> bool:
        try:
            parsed = httpx2.URL(url)
        except (httpx2.InvalidURL, TypeError):
            return False
        if parsed.userinfo:
            return False
        return _origin(parsed) in {("https", FILE_HOST, 443), self._origin}

    def _note(self, response: httpx2.Response) -> None:
        try:
            self.now = parsedate_to_datetime(response.headers["date"]).astimezone(UTC)
        except (KeyError, ValueError, OverflowError):
            self.now = datetime.now(UTC)
        if named := response.headers.get("x-oauth-scopes"):
            self.scopes = tuple(scope.strip() for scope in named.split(",") if scope.strip())


def error_of(answer: Mapping[str, Any], response: httpx2.Response) -> Exception:
    """What an answer that is not `ok` means."""
    code = str(answer.get("error") or "")
    if code in _REJECTED:
        return CredentialsRejected()
    if code in ("ratelimited", "rate_limited"):
        return RateLimited(resume_at(response))
    if code in _UNAVAILABLE:
        return ProviderUnavailable()
    if code == "missing_scope":
        needed = str(answer.get("needed") or "")
        named = f"the scope {needed}" if re.fullmatch(r"[a-z.:,|_ ]{1,200}", needed) else "a scope"
        return SlackRefused(code, f"The Slack app lacks {named}; add it and connect again.")
    # Codes are Slack's identifiers; anything else is not repeated.
    known = code if re.fullmatch(r"[a-z0-9_]{1,80}", code) else "unknown"
    return SlackRefused(known, _REASONS.get(code, f"Slack refused the request ({known})."))


def _api_refusal(response: httpx2.Response, body: bytes) -> Exception:
    refusal = refusal_of(response, body)
    if isinstance(refusal, CredentialsRejected | RateLimited | TryAgain | ProviderUnavailable):
        return refusal
    return SlackRefused("unknown", f"Slack answered with status {response.status_code}.")


def _file_refusal(response: httpx2.Response, body: bytes) -> Exception:
    if response.is_redirect:
        return ItemUnreadable("Slack does not hand this file over; the app may lack the scope files:read.")
    refusal = refusal_of(response, body)
    if isinstance(refusal, ProviderRefused) or response.status_code == HTTPStatus.FORBIDDEN:
        return ItemUnreadable(f"Slack does not hand this file over (status {response.status_code}).")
    return refusal


def _origin(url: httpx2.URL) -> tuple[str, str, int]:
    return url.scheme, url.host, url.port or (443 if url.scheme == "https" else 80)
