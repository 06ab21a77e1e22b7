"""Rotation of the signing keys, and what an emergency ends besides."""

from datetime import timedelta

from backend.db.transaction import Session
from backend.keyring import Keyring
from backend.keys.repository import SigningKeyRepository
from backend.tenants.repository import SessionRepository

#: How long the row of a retired key is kept for people to look at.
_HISTORY = timedelta(days=30)


def maintain_keys(session: Session, master: Keyring, *, days: int, keep: timedelta) -> int:
    """Rotates when the key that signs is older than `days` (0: never) and forgets old ones; how many it dealt with.

    In an operator transaction. `keep` is as long as anything that is signed may live.
    """
    keys = SigningKeyRepository(session, master)
    rotated = keys.rotate_if_older(timedelta(days=days), keep=keep) if days else None
    return (rotated is not None) + keys.purge_retired(older_than=_HISTORY)


def replace_keys_now(session: Session, master: Keyring, *, by: str) -> tuple[str, int]:
    """(id of the new key, sessions ended): nothing that was signed counts any more, and everybody signs in again.

    In an operator transaction. The sessions too: whoever had the key may have made themselves more by refreshing.
    """
    kid = SigningKeyRepository(session, master).replace_now(by=by)
    return kid, SessionRepository(session).end_everywhere(reason="keys_replaced")
