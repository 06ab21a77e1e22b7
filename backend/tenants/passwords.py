"""Passwords: what is accepted, how it is stored, and that checking takes the same time for nobody's account."""

import base64
import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY

from backend.errors import Invalid

MIN_LENGTH = 8
MAX_LENGTH = 128
_COMMON = frozenset(
    (
        "password",
        "passwort",
        "password1",
        "password123",
        "qwerty123",
        "12345678",
        "letmein1",
        "welcome1",
        "admin123",
    )
)


class WeakPassword(Invalid):
    """This password is too easy to guess."""


def check_strength(password: str, *, email: str) -> None:
    """Raises WeakPassword with the one thing to change: length, mixed case, a digit, or being guessable."""
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise WeakPassword(f"The password must have {MIN_LENGTH} to {MAX_LENGTH} characters.")
    if not (any(c.islower() for c in password) and any(c.isupper() for c in password)):
        raise WeakPassword("The password needs an upper-case and a lower-case letter.")
    if not any(c.isdigit() for c in password):
        raise WeakPassword("The password needs a digit.")
    lowered = password.lower()
    local_part = email.partition("@")[0].lower()
    if lowered in _COMMON or (len(local_part) >= 4 and local_part in lowered):
        raise WeakPassword("The password is too common or contains your e-mail name.")


class Passwords:
    """Argon2id; with the parameters of RFC 9106 for servers (64 MiB, 3 passes, 4 lanes) unless given a hasher."""

    def __init__(
        self,
        hasher: PasswordHasher | None = None,
        run: Callable[[Callable[[], Any]], Any] = lambda work: work(),
    ) -> None:
        """`run` carries out some 50 ms of pure computing; a server of many greenlets hands in a thread pool."""
        self._run = run
        self._hasher = hasher or PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)
        # Compared with when there is no such account, so that the answer takes as long.
        self._nobody = _made_up(self._hasher)

    def hash(self, password: str) -> str:
        """A PHC string with a fresh salt."""
        return str(self._run(lambda: self._hasher.hash(password)))

    def matches(self, password_hash: str | None, password: str) -> bool:
        """Whether `password` made the hash; without a hash, or with no real one, it takes as long and says no."""
        if password_hash is None:
            return self._refuse(password)
        try:
            return bool(self._run(lambda: self._hasher.verify(password_hash, password)))
        except InvalidHashError:
            return self._refuse(password)
        except VerificationError:
            return False

    def _refuse(self, password: str) -> bool:
        with suppress(VerificationError):
            self._run(lambda: self._hasher.verify(self._nobody, password))
        return False


def _made_up(hasher: PasswordHasher) -> str:
    """A PHC string as `hasher` makes them, of a password nobody has: no process hashes one only to begin."""
    salt, digest = (
        base64.b64encode(secrets.token_bytes(length)).decode().rstrip("=")
        for length in (hasher.salt_len, hasher.hash_len)
    )
    costs = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    return f"$argon2id$v=19${costs}${salt}${digest}"
