"""What every request passes on its way to a route, once it is known who asks, and its answer on the way back.

Scopes of API keys, rate limits, idempotency keys: one place, so that no route can forget them and none has to
know them. All of it is decided by rows, so it holds across instances; while the database is away it answers as
everything else does.
"""

import hashlib
import json
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import IPv6Address, ip_address
from typing import Any

import structlog
from flask import Response, current_app, g, request
from prometheus_client import Counter
from pydantic import ValidationError

from backend.errors import Forbidden, Invalid, Unavailable
from backend.keyring import Keyring, SealBroken
from backend.limits.repository import (
    AnswerNotKept,
    IdempotencyKeyReused,
    IdempotencyRepository,
    Lease,
    RateLimited,
    RateLimitRepository,
    RequestInProgress,
    Stored,
    refusal,
)
from backend.limits.rules import CHANGING, By, Rule, Rules
from backend.tenants.access import Principal, SessionNeeded, account_name
from backend.tenants.views import LogIn
from backend.wiring import Services

_log = structlog.get_logger(__name__)

RATE_LIMITED = Counter("secondbrain_rate_limited_total", "Requests refused by a rate limit", ["rule"])
IDEMPOTENT = Counter(
    "secondbrain_idempotent_requests_total",
    "Requests with an Idempotency-Key, by what became of them",
    ["outcome"],
)

#: The largest answer that is kept for a repeat, in bytes.
LARGEST_ANSWER = 1024 * 1024

_PURPOSE = "idempotency"
_REPEATED_HEADERS = ("Content-Type", "Content-Language", "Location", "ETag")


class ScopeMissing(Forbidden):
    """This API key may not do that: its scopes do not allow it."""


class IdempotencyKeyInvalid(Invalid):
    """An Idempotency-Key has 1 to 255 printable ASCII characters."""


class Admission:
    """One process's gate; it holds settings only."""

    def __init__(self, s: Services) -> None:
        """Raises ValueError when RATE_LIMITS names a limit that does not exist."""
        self._db = s.db
        self._keyring = s.keyring
        self._rules = Rules(s.settings.rate_limits)
        self._lease = timedelta(seconds=s.settings.idempotency_lease_seconds)
        self._keep = timedelta(seconds=s.settings.idempotency_keep_seconds)

    def admit(self) -> Response | None:
        """None lets the request go on to its route; an answer is a repeated one.

        Raises StateError: SessionNeeded, ScopeMissing, RateLimited, and those of idempotency keys.
        """
        if request.url_rule is None or request.endpoint is None:
            return None
        view = current_app.view_functions[request.endpoint]
        who: Principal | None = g.get("principal")
        is_public = getattr(view, "access", "private") == "public"
        if who is not None and not is_public:
            _check_scopes(who, view)
        self._limit(who)
        if who is None or is_public or request.method not in CHANGING:
            return None
        key = request.headers.get("Idempotency-Key")
        return None if key is None else self._only_once(who, key)

    def settle(self, response: Response) -> Response:
        """Gives back tokens that should not have counted, and keeps the answer for repeats."""
        try:
            self._give_back(response)
            self._keep_answer(response)
        except Unavailable as error:
            _log.warning("not settled", cause=type(error.__cause__).__name__)
        except Exception:  # noqa: BLE001 - logged; what the route did is committed, so its answer is the truth
            _log.exception("not settled")
        return response

    # -- rate limits

    def _limit(self, who: Principal | None) -> None:
        route = request.url_rule.rule if request.url_rule else ""
        rules = self._rules.of(request.method, route, is_signed_in=who is not None)
        drawn: list[tuple[Rule, str]] = []
        error: RateLimited | None = None
        if not rules:
            return
        # Before the transaction: it may take a look at the keys.
        subjects = [self._subject(rule, who) for rule in rules]
        with self._db.operator_transaction() as session:
            buckets = RateLimitRepository(session)
            for rule, subject in zip(rules, subjects, strict=True):
                if subject is None:
                    continue
                taken = buckets.take(rule, subject)
                if not taken.is_allowed:
                    error = refusal(taken)
                    RATE_LIMITED.labels(rule.name).inc()
                    # What never reached the route cannot have failed there.
                    for earlier, whose in drawn:
                        buckets.give_back(earlier, whose)
                    break
                if rule.is_given_back:
                    drawn.append((rule, subject))
        # Only now: the refusal is to be committed.
        if error is not None:
            raise error
        g.to_give_back = drawn

    def _give_back(self, response: Response) -> None:
        drawn: list[tuple[Rule, str]] = g.pop("to_give_back", [])
        if drawn and response.status_code != 401:
            with self._db.operator_transaction() as session:
                for rule, subject in drawn:
                    RateLimitRepository(session).give_back(rule, subject)

    def _subject(self, rule: Rule, who: Principal | None) -> str | None:
        """Whose bucket; None when the request names nobody, and so cannot get anywhere."""
        if rule.by is By.USER:
            return None if who is None else str(who.user_id)
        address = network(request.remote_addr)
        if rule.by is By.ADDRESS:
            return address
        try:
            # Read as the route reads it: a body that means something else here would get past the limit.
            is_form = request.mimetype == "application/x-www-form-urlencoded"
            body = request.form.to_dict() if is_form else request.get_json(silent=True)
            log_in = LogIn.model_validate_json(body) if isinstance(body, str) else LogIn.model_validate(body)
        except ValidationError:
            return None
        # Keyed, so that the table tells nobody who has an account or tried to get in.
        account = self._keyring.mac("rate limits", account_name(log_in.email).encode(errors="replace")).hex()[
            :32
        ]
        return account if rule.by is By.ACCOUNT else f"{account} {address}"

    # -- idempotency keys

    def _only_once(self, who: Principal, key: str) -> Response | None:
        if not (1 <= len(key) <= 255 and key.isascii() and key.isprintable()):
            raise IdempotencyKeyInvalid
        digest = hashlib.sha256(key.encode()).digest()
        fingerprint = _fingerprint(who)
        route = f"{request.method} {request.url_rule.rule if request.url_rule else ''}"
        try:
            with self._db.transaction(who.tenant_id) as session:
                claimed = IdempotencyRepository(session, who.tenant_id, who.user_id).claim(
                    digest, fingerprint, route, lease=self._lease, keep=self._keep
                )
        except (RequestInProgress, IdempotencyKeyReused) as error:
            IDEMPOTENT.labels("waiting" if isinstance(error, RequestInProgress) else "reused").inc()
            raise
        if isinstance(claimed, Stored):
            IDEMPOTENT.labels("repeated").inc()
            return _opened(self._keyring, claimed, bound_to=_bound_to(who, digest))
        IDEMPOTENT.labels("carried out").inc()
        g.claimed = (who, digest, claimed)
        return None

    def _keep_answer(self, response: Response) -> None:
        claimed: tuple[Principal, bytes, Lease] | None = g.pop("claimed", None)
        if claimed is None:
            return
        who, digest, lease = claimed
        is_kept = response.status_code < 500 and not (response.is_streamed or response.direct_passthrough)
        sealed = None
        if is_kept and len(body := response.get_data()) <= LARGEST_ANSWER:
            headers = {name: response.headers[name] for name in _REPEATED_HEADERS if name in response.headers}
            plain = json.dumps(headers).encode() + b"\n" + body
            sealed = self._keyring.seal(_PURPOSE, plain, bound_to=_bound_to(who, digest))
        with self._db.transaction(who.tenant_id) as session:
            keys = IdempotencyRepository(session, who.tenant_id, who.user_id)
            if is_kept:
                is_ours = keys.answer(digest, lease, status_code=response.status_code, sealed_answer=sealed)
            else:
                is_ours = keys.release(digest, lease)
        if not is_ours:
            _log.warning("answered after its lease had run out", route=request.path)


def network(address: str | None) -> str:
    """What one subscriber has: an IPv4 address, or the /64 of an IPv6 one, which is theirs as a whole."""
    try:
        ip = ip_address(address or "")
    except ValueError:
        return "unknown"
    if not isinstance(ip, IPv6Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return f"{IPv6Address(int(ip) >> 64 << 64)}/64"


def _check_scopes(who: Principal, view: Any) -> None:
    if who.session_id is not None:
        return
    if getattr(view, "session_only", False):
        raise SessionNeeded
    needed = "write" if request.method in CHANGING and not getattr(view, "only_reads", False) else "read"
    if needed not in who.scopes:
        raise ScopeMissing(f"This API key has no scope {needed!r}.")


def _fingerprint(who: Principal) -> bytes:
    """What makes a request the same one: what is asked, with which rights, whatever the connection it came on."""
    digest = hashlib.sha256()
    scopes = ",".join(sorted(who.scopes))
    for part in (request.method, request.path, request.query_string, scopes, *_content()):
        raw = part.encode(errors="surrogateescape") if isinstance(part, str) else part
        # With its length, so that no two lists of parts run together into the same bytes.
        digest.update(len(raw).to_bytes(8, "big"))
        digest.update(raw)
    return digest.digest()


def _content() -> Iterator[str | bytes]:
    """The body; of a form its fields and files, because a repeat draws a new boundary between them."""
    if request.mimetype != "multipart/form-data":
        yield request.get_data(cache=True)
        return
    for name, value in request.form.items(multi=True):
        yield from ("field", name, value)
    for name, file in request.files.items(multi=True):
        content = hashlib.file_digest(file.stream, "sha256").digest()  # type: ignore[arg-type]
        file.stream.seek(0)
        yield from ("file", name, file.filename or "", content)


def _bound_to(who: Principal, digest: bytes) -> bytes:
    return who.tenant_id.bytes + who.user_id.bytes + digest


def _opened(keyring: Keyring, stored: Stored, *, bound_to: bytes) -> Response:
    try:
        head, _, body = keyring.open(_PURPOSE, stored.sealed_answer, bound_to=bound_to).partition(b"\n")
    except SealBroken as error:
        raise AnswerNotKept(
            "This request was carried out before; the key its answer was sealed with is gone."
        ) from error
    response = Response(body, status=stored.status_code, headers=json.loads(head))
    response.headers["Idempotency-Replayed"] = "true"
    return response
