"""What a process holds of the signing keys: a copy that is never old, and read anew before anything is refused.

A hint makes it read at once, and it reads every second anyway. A copy older than `FRESH_SECONDS` is not used: while
the database is away nothing is signed and nothing verified, as nothing else is answered then either.

A token that names a key which the copy does not have may be of a key made a moment ago, so it is refused only by a
copy that was read after the token came. However many such tokens come, a process reads at most every
`GAP_SECONDS`; those that come meanwhile wait for the next reading and share it.
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import structlog

from backend.db.listen import Listener
from backend.db.notify import Channel
from backend.db.transaction import Database
from backend.errors import Unavailable
from backend.keyring import Keyring, KeyUnknown, SealBroken
from backend.keys.repository import SigningKeyRepository

_log = structlog.get_logger(__name__)


class SigningKeySealed(SealBroken):
    """The signing key is sealed with a master key that is not among this process's SECRET_KEYS."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """The set as it was at `read_at` (monotonic seconds, when the reading began), or why it could not be read."""

    read_at: float
    ring: Keyring | None = None
    error: Unavailable | None = None

    def get(self) -> Keyring:
        if self.ring is None:
            raise self.error or Unavailable()
        return self.ring


class SigningKeyring(Keyring):
    """Signs and verifies with the keys of the table; seals and opens as `master` does.

    One per process; safe to share between threads and greenlets. What signs and verifies may ask the database, so
    no transaction may be open, and raises DatabaseUnavailable and SigningKeySealed besides.
    """

    POLL_SECONDS = 1.0
    FRESH_SECONDS = 1.5
    GAP_SECONDS = 0.2

    def __init__(self, db: Database, listener: Listener, master: Keyring) -> None:
        super().__init__(master.pairs)
        #: For what outlives every signing key, such as an address that somebody has written down elsewhere.
        self.master = master
        self._db = db
        self._hints = listener.subscribe(Channel.SIGNING_KEYS)
        self._newest = _Reading(float("-inf"))
        self._is_reading = False
        #: Told once, not at every reading.
        self._unopened: set[str] = set()
        self._turn = threading.Condition()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> Self:
        """Starts the thread that keeps the copy fresh; call it after any fork. Without it every use may read."""
        self._thread = threading.Thread(target=self._follow, name="signing keys", daemon=True)
        self._thread.start()
        return self

    def close(self) -> None:
        """Ends the thread."""
        self._closing.set()
        self._hints.wake()
        if self._thread is not None:
            self._thread.join(2.0)

    @property
    def signing_kid(self) -> str:
        """Id of the key that signs now."""
        return self._ring().current_kid

    def sign(self, purpose: str, claims: Mapping[str, Any]) -> str:
        return self._ring().sign(purpose, claims)

    def verify(self, purpose: str, token: str) -> dict[str, Any]:
        try:
            return self._ring().verify(purpose, token)
        except KeyUnknown:
            return self._read_since(time.monotonic()).verify(purpose, token)

    def mac(self, purpose: str, message: bytes) -> bytes:
        return self._ring().mac(purpose, message)

    def mac_matches(self, purpose: str, message: bytes, mac: bytes) -> bool:
        # It names no key, so a forged one and one of a key unknown here look alike.
        return self._ring().mac_matches(purpose, message, mac) or (
            len(mac) >= 16 and self._read_since(time.monotonic()).mac_matches(purpose, message, mac)
        )

    def derive_text(self, purpose: str, message: str, *, kid: str | None = None) -> tuple[str, str]:
        try:
            return self._ring().derive_text(purpose, message, kid=kid)
        except KeyUnknown:
            return self._read_since(time.monotonic()).derive_text(purpose, message, kid=kid)

    def _ring(self) -> Keyring:
        now, newest = time.monotonic(), self._newest
        if newest.ring is not None and now - newest.read_at < self.FRESH_SECONDS:
            return newest.ring
        return self._read_since(now)

    def _read_since(self, asked_at: float) -> Keyring:
        """The set as it was at `asked_at` or later. One reads; whoever asks before it begins shares what it gets."""
        with self._turn:
            while self._is_reading:
                self._turn.wait()
                if self._newest.read_at >= asked_at:
                    return self._newest.get()
            if self._newest.read_at >= asked_at:
                return self._newest.get()
            self._is_reading = True
        reading = _Reading(time.monotonic(), error=Unavailable())
        try:
            self._closing.wait(max(0.0, self._newest.read_at + self.GAP_SECONDS - time.monotonic()))
            began = time.monotonic()
            try:
                reading = _Reading(began, ring=self._read())
            except Unavailable as error:
                reading = _Reading(began, error=error)
        finally:
            with self._turn:
                self._newest, self._is_reading = reading, False
                self._turn.notify_all()
        return reading.get()

    def _read(self) -> Keyring:
        with self._db.operator_transaction() as session:
            repository = SigningKeyRepository(session, self)
            found = repository.list_accepted()
            if not found:
                repository.make_first()
                found = repository.list_accepted()
            signing: list[tuple[str, bytes]] = []
            published: list[tuple[str, bytes]] = []
            for key, is_active in found:
                try:
                    (signing if is_active else published).append((key.kid, repository.open(key)))
                except SealBroken as error:
                    if is_active and not signing:
                        raise SigningKeySealed from error
                    if key.kid not in self._unopened:
                        _log.warning("signing key cannot be opened with SECRET_KEYS", kid=key.kid)
                    self._unopened.add(key.kid)
        accepted = [*signing, *published]
        if any(key.follows_master for key, _ in found):
            # In front while no other key signs yet.
            accepted = [*signing, *self.pairs, *published]
        return Keyring(accepted)

    def _follow(self) -> None:
        with self._hints:
            while not self._closing.is_set():
                try:
                    self._read_since(time.monotonic())
                except Unavailable as error:
                    _log.warning("signing keys not read", error=error.error_code)
                except Exception:  # noqa: BLE001 - logged
                    _log.exception("following signing keys failed")
                self._hints.wait(self.POLL_SECONDS)
