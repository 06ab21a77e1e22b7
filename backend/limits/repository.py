"""Takes tokens out of buckets; claims, answers and releases idempotency keys."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session
from sqlalchemy.sql.selectable import TypedReturnsRows

from backend.errors import Conflict, TooMany, Unprocessable
from backend.limits.models import IdempotencyKey, RateLimit
from backend.limits.rules import Rule

#: Who waits for an answer that is being made asks again after so many seconds.
_ASK_AGAIN_SECONDS = 1

# One statement reads, decides and writes under the row's lock, so no two requests get the same token. The bucket
# is the time at which it is full: `full_at - now` is what has been taken, in time, and no more than
# `whole` of it fits in. Whether it was let in shows in whether `full_at` moved. A row that is full is as good as none.
_TAKE = text(
    """
    INSERT INTO rate_limits AS b (rule, subject, full_at)
    VALUES (:rule, :subject, statement_timestamp() + CAST(:step AS interval))
    ON CONFLICT (rule, subject) DO UPDATE SET (full_at, refused_count, refused_at) = (
        SELECT CASE WHEN fits THEN pushed ELSE b.full_at END,
               b.refused_count + CASE WHEN fits THEN 0 ELSE 1 END,
               CASE WHEN fits THEN b.refused_at ELSE statement_timestamp() END
        FROM (SELECT pushed, pushed <= statement_timestamp() + CAST(:whole AS interval) AS fits
              FROM (SELECT greatest(b.full_at, statement_timestamp()) + CAST(:step AS interval) AS pushed) AS p) AS f)
    RETURNING new.full_at IS DISTINCT FROM old.full_at AS is_allowed,
              extract(epoch FROM new.full_at - statement_timestamp())::float8 AS seconds_to_full
    """
)

_GIVE_BACK = text(
    "UPDATE rate_limits SET full_at = full_at - CAST(:step AS interval) WHERE rule = :rule AND subject = :subject"
)


class RateLimited(TooMany):
    """Too many requests; wait a moment and try again."""


class IdempotencyKeyReused(Unprocessable):
    """This Idempotency-Key was used for another request before."""


class RequestInProgress(Conflict):
    """A request with this Idempotency-Key is being carried out; ask again for its answer."""


class AnswerNotKept(Conflict):
    """This request was carried out before; its answer was too large to be kept."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of an attempt to take a token."""

    is_allowed: bool
    left: int
    """Tokens still in the bucket."""
    retry_after: float
    """Seconds until the next token; 0 while there is one."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to carry a request out. A key that was released begins at number 1 again, so the time it was given
    belongs to it: whoever held it before can be told apart."""

    number: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Stored:
    """An answer that was given before."""

    status_code: int
    sealed_answer: bytes


class RateLimitRepository:
    """Token buckets, within the caller's operator transaction: who asks may belong to no tenant yet."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def take(self, rule: Rule, subject: str) -> Taken:
        """Takes one of `subject`'s tokens if there is one, by the database's clock; in one statement.

        However many ask at once, in any time `t` no more than `count * (1 + t / period)` are let in. Whoever is
        refused takes nothing; the refusal is counted, so the transaction should commit.
        """
        step = rule.period / rule.count
        # Not the period itself: a step is rounded to the microsecond, and `count` of them must fit in.
        whole = step * rule.count
        row = self._session.execute(
            _TAKE, {"rule": rule.name, "subject": subject, "step": step, "whole": whole}
        ).one()
        seconds = step.total_seconds()
        # Half a microsecond, because these are floats.
        free = whole.total_seconds() - row.seconds_to_full + 5e-7
        # Statements that ran at once each have their own start; a hundredth of a token bridges that.
        left = max(0, int(free / seconds + 0.01)) if row.is_allowed else 0
        return Taken(bool(row.is_allowed), left, max(0.0, seconds - free) if left == 0 else 0.0)

    def give_back(self, rule: Rule, subject: str) -> None:
        """Undoes one `take`: what it was for did not count after all."""
        step = rule.period / rule.count
        self._session.execute(_GIVE_BACK, {"rule": rule.name, "subject": subject, "step": step})

    def purge_full(self, *, refused_for: timedelta, limit: int = 5000) -> int:
        """Deletes buckets that are full, at most `limit`; returns how many.

        Those at which somebody was refused within `refused_for` stay, to be looked at.
        """
        doomed = (
            select(RateLimit.rule, RateLimit.subject)
            .where(
                RateLimit.full_at <= func.now(),
                RateLimit.refused_at.is_(None) | (RateLimit.refused_at < func.now() - refused_for),
            )
            .limit(limit)
            .with_for_update(skip_locked=True)
            .cte("doomed")
        )
        return len(
            self._session.execute(
                delete(RateLimit)
                .where(RateLimit.rule == doomed.c.rule, RateLimit.subject == doomed.c.subject)
                .returning(RateLimit.rule)
            ).all()
        )


def refusal(taken: Taken) -> RateLimited:
    """What a request that was not let in is answered with: whole seconds, at least one."""
    return RateLimited(retry_after=max(1, ceil(taken.retry_after)))


class IdempotencyRepository:
    """Idempotency keys of one user, within the caller's transaction (the tenant's)."""

    def __init__(self, session: Session, tenant_id: UUID, user_id: UUID) -> None:
        self._session = session
        self._tenant_id = tenant_id
        self._user_id = user_id

    def claim(
        self, key_sha256: bytes, fingerprint_sha256: bytes, request: str, *, lease: timedelta, keep: timedelta
    ) -> Lease | Stored:
        """The lease under which the caller carries the request out, or the answer that it got before.

        One statement decides, so of several at once exactly one gets a lease. It also takes over what was left
        behind longer than its lease ago, and keys whose time has run out. Commit before carrying it out.

        Raises:
            IdempotencyKeyReused: the key stands for another request.
            RequestInProgress: somebody else is carrying it out.
            AnswerNotKept: it was carried out, and its answer was too large to be kept.
        """
        own = insert(IdempotencyKey).values(
            tenant_id=self._tenant_id,
            user_id=self._user_id,
            key_sha256=key_sha256,
            fingerprint_sha256=fingerprint_sha256,
            request=request,
            lease=1,
            leased_until=func.now() + lease,
            expires_at=func.now() + keep,
        )
        taken_over = {
            column: own.excluded[column]
            for column in (
                "fingerprint_sha256",
                "request",
                "leased_until",
                "status_code",
                "sealed_answer",
                "created_at",
                "answered_at",
                "expires_at",
            )
        }
        is_stalled = (
            IdempotencyKey.status_code.is_(None)
            & (IdempotencyKey.leased_until <= func.now())
            & (IdempotencyKey.fingerprint_sha256 == fingerprint_sha256)
        )
        claimed = self._session.execute(
            own.on_conflict_do_update(
                index_elements=["tenant_id", "user_id", "key_sha256"],
                set_={**taken_over, "lease": IdempotencyKey.lease + 1},
                where=is_stalled | (IdempotencyKey.expires_at <= func.now()),
            ).returning(IdempotencyKey.lease, IdempotencyKey.created_at)
        ).one_or_none()
        return Lease(*claimed) if claimed is not None else self._read(key_sha256, fingerprint_sha256)

    def answer(
        self, key_sha256: bytes, lease: Lease, *, status_code: int, sealed_answer: bytes | None
    ) -> bool:
        """Stores the answer; False when somebody else has taken over since, so that it must not be."""
        return self._touched(
            update(IdempotencyKey)
            .where(*self._held(key_sha256, lease))
            .values(status_code=status_code, sealed_answer=sealed_answer, answered_at=func.now())
            .returning(IdempotencyKey.lease)
        )

    def release(self, key_sha256: bytes, lease: Lease) -> bool:
        """Forgets the key, so that a repeat is carried out; False when somebody else has taken over since."""
        return self._touched(
            delete(IdempotencyKey).where(*self._held(key_sha256, lease)).returning(IdempotencyKey.lease)
        )

    def _read(self, key_sha256: bytes, fingerprint_sha256: bytes) -> Stored:
        row = self._session.scalar(select(IdempotencyKey).where(*self._is(key_sha256)))
        if row is None:
            # Released between the two statements: the next attempt gets it.
            raise RequestInProgress(retry_after=_ASK_AGAIN_SECONDS)
        if row.fingerprint_sha256 != fingerprint_sha256:
            raise IdempotencyKeyReused
        if row.status_code is None:
            raise RequestInProgress(retry_after=_ASK_AGAIN_SECONDS)
        if row.sealed_answer is None:
            raise AnswerNotKept
        return Stored(row.status_code, row.sealed_answer)

    def _is(self, key_sha256: bytes) -> tuple[ColumnElement[bool], ...]:
        return (
            IdempotencyKey.tenant_id == self._tenant_id,
            IdempotencyKey.user_id == self._user_id,
            IdempotencyKey.key_sha256 == key_sha256,
        )

    def _held(self, key_sha256: bytes, lease: Lease) -> tuple[ColumnElement[bool], ...]:
        return (
            *self._is(key_sha256),
            IdempotencyKey.lease == lease.number,
            IdempotencyKey.created_at == lease.since,
            IdempotencyKey.status_code.is_(None),
        )

    def _touched(self, statement: TypedReturnsRows[tuple[int]]) -> bool:
        return self._session.scalar(statement) is not None


def purge_expired(session: Session, *, limit: int = 1000) -> int:
    """Deletes idempotency keys whose time has run out, at most `limit` (operator transaction); how many."""
    doomed = (
        select(IdempotencyKey.tenant_id, IdempotencyKey.user_id, IdempotencyKey.key_sha256)
        .where(IdempotencyKey.expires_at <= func.now())
        .limit(limit)
        .cte("doomed")
    )
    return len(
        session.execute(
            delete(IdempotencyKey)
            .where(
                # Asked again of the row as it is then: somebody may just have taken the key for a new request.
                IdempotencyKey.expires_at <= func.now(),
                IdempotencyKey.tenant_id == doomed.c.tenant_id,
                IdempotencyKey.user_id == doomed.c.user_id,
                IdempotencyKey.key_sha256 == doomed.c.key_sha256,
            )
            .returning(IdempotencyKey.tenant_id)
        ).all()
    )
