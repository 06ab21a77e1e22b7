"""Make the first, rotate, retire at once, list, purge; all of it in operator transactions."""

import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.orm import Session

from backend.db.notify import Channel
from backend.db.transaction import hint
from backend.keyring import Keyring
from backend.keys.models import SigningKey

#: From a key's publication until it signs. Longer than a process takes to follow, and than replacing all processes
#: of a version that knows no such keys.
LEAD: Final = timedelta(minutes=5)

#: Of the database: who adds a key holds it until the commit, so there is one first key and one newest.
_LOCK: Final = 5_003_000_016
_PURPOSE: Final = "signing-key"


class SigningKeyRepository:
    """The set of signing keys, within an operator transaction. `master` seals and opens what is in the rows."""

    def __init__(self, session: Session, master: Keyring) -> None:
        self._session = session
        self._master = master

    def list_accepted(self) -> Sequence[tuple[SigningKey, bool]]:
        """(key, whether its time to sign has come) of every key that still counts; the newest first."""
        rows = self._session.execute(
            select(SigningKey, SigningKey.active_from <= func.now())
            .where(or_(SigningKey.retires_at.is_(None), SigningKey.retires_at > func.now()))
            # Not by when they begin: an older key whose time comes later would sign again in place of a newer one.
            .order_by(SigningKey.created_at.desc(), SigningKey.active_from.desc(), SigningKey.kid)
        )
        return [(key, is_active) for key, is_active in rows]

    def list_keys(self) -> Sequence[SigningKey]:
        """Every key there is, the newest first."""
        return self._session.scalars(
            select(SigningKey).order_by(SigningKey.created_at.desc(), SigningKey.active_from.desc())
        ).all()

    def open(self, key: SigningKey) -> bytes:
        """The key's 32 bytes. Raises SealBroken when they were sealed with a master key that is not known here."""
        return self._master.open(_PURPOSE, key.sealed, bound_to=key.kid.encode())

    def make_first(self, *, lead: timedelta = LEAD) -> str | None:
        """Makes the first key, to sign after `lead`; None when there is one already. Of many calls, one makes it."""
        self._lock()
        if self._session.scalar(select(SigningKey.kid).limit(1)) is not None:
            return None
        return self._add(lead, "first use", follows_master=True)

    def rotate(self, *, keep: timedelta, by: str, lead: timedelta = LEAD) -> str:
        """Publishes a new key, to sign after `lead`; the others count for `keep` longer. Returns its id."""
        self._lock()
        self._session.execute(
            update(SigningKey)
            .where(SigningKey.retires_at.is_(None))
            .values(retires_at=func.now() + lead + keep, retired_because="rotated")
        )
        return self._add(lead, by)

    def rotate_if_older(self, age: timedelta, *, keep: timedelta) -> str | None:
        """The same, if the newest key has been signing for longer than `age`; else None."""
        is_due = (SigningKey.retires_at.is_(None), SigningKey.active_from < func.now() - age)
        if self._session.scalar(select(SigningKey.kid).where(*is_due)) is None:
            return None
        self._lock()
        # Asked again: whoever had the lock may have just done it.
        if self._session.scalar(select(SigningKey.kid).where(*is_due)) is None:
            return None
        return self.rotate(keep=keep, by="maintenance")

    def replace_now(self, *, by: str) -> str:
        """Retires every key at once, whatever it signed, and makes one that signs from the commit on."""
        self._lock()
        self._session.execute(
            update(SigningKey)
            .where(or_(SigningKey.retires_at.is_(None), SigningKey.retires_at > func.now()))
            .values(retires_at=func.now(), retired_because="compromised")
        )
        return self._add(timedelta(0), by)

    def purge_retired(self, *, older_than: timedelta) -> int:
        """Deletes keys that retired more than `older_than` ago; returns how many."""
        gone = self._session.scalars(
            delete(SigningKey)
            .where(SigningKey.retires_at < func.now() - older_than)
            .returning(SigningKey.kid)
        )
        return len(gone.all())

    def _add(self, lead: timedelta, by: str, *, follows_master: bool = False) -> str:
        # The letter keeps it apart from the ids of master keys as `secondbrain generate-key` makes them.
        kid = f"s{secrets.token_hex(8)}"
        sealed = self._master.seal(_PURPOSE, secrets.token_bytes(32), bound_to=kid.encode())
        self._session.add(
            SigningKey(
                kid=kid,
                sealed=sealed,
                active_from=func.now() + lead,
                follows_master=follows_master,
                made_by=by,
            )
        )
        self._session.flush()
        hint(self._session, Channel.SIGNING_KEYS, kid)
        return kid

    def _lock(self) -> None:
        self._session.execute(select(func.pg_advisory_xact_lock(_LOCK)))
