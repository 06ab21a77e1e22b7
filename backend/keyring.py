"""The process's keys: one master key set, one derived key per purpose, named by key id.

Purposes never share a key (an OAuth state can never pass for an access token), and a sealed value or a
signature carries the id of its key, so that keys are rotated by putting a new one in front.
"""

import base64
import hashlib
import hmac
import os
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import jwt
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from backend.errors import Expired, Invalid, Unavailable

ISSUER = "secondbrain"
_ALGORITHM = "HS256"
_FORMAT = b"\x01"


class TokenInvalid(Invalid):
    """The token is not one of ours."""


class KeyUnknown(TokenInvalid):
    """The token is signed with a key that is not known here."""

    code = "TOKEN_INVALID"


class TokenExpired(Expired):
    """The token has expired."""


class SealBroken(Unavailable):
    """A sealed value cannot be opened: its key is missing or it was altered."""


class Keyring:
    """Signs, verifies, seals and derives. Immutable; safe to share.

    `keys` are (key id, 32 bytes) pairs; the first one signs and seals, all of them verify and open.
    """

    def __init__(self, keys: Sequence[tuple[str, bytes]]) -> None:
        # An id's length is one byte of what is sealed.
        if not keys or any(len(key) != 32 or not 0 < len(kid.encode()) < 256 for kid, key in keys):
            raise ValueError(
                "a keyring needs at least one key of 32 bytes, each with an id of 1 to 255 bytes"
            )
        if len({kid for kid, _ in keys}) != len(keys):
            raise ValueError("two keys of a keyring have the same id")
        self._keys: Mapping[str, bytes] = MappingProxyType(dict(keys))
        self._current = keys[0][0]

    def sign(self, purpose: str, claims: Mapping[str, Any]) -> str:
        """A JWT with `claims`, issuer, audience `purpose` and key id. `claims` must hold `exp`."""
        return jwt.encode(
            {**claims, "iss": ISSUER, "aud": purpose},
            self._derive(self._current, purpose),
            algorithm=_ALGORITHM,
            headers={"kid": self._current},
        )

    def verify(self, purpose: str, token: str) -> dict[str, Any]:
        """The claims of a token that `sign` made for the same purpose.

        Raises:
            TokenExpired: it was ours, and its time has run out.
            TokenInvalid: forged, damaged, for another purpose, or signed with a key not known (KeyUnknown).
        """
        try:
            kid = str(jwt.get_unverified_header(token).get("kid"))
            if kid not in self._keys:
                raise KeyUnknown
            claims: dict[str, Any] = jwt.decode(
                token,
                self._derive(kid, purpose),
                algorithms=[_ALGORITHM],
                issuer=ISSUER,
                audience=purpose,
                options={"require": ["exp", "iss", "aud"]},
            )
        except jwt.ExpiredSignatureError as error:
            raise TokenExpired from error
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise TokenInvalid from error
        return claims

    def mac(self, purpose: str, message: bytes) -> bytes:
        """32 bytes that only a holder of the current key can make from `message`."""
        return hmac.digest(self._derive(self._current, purpose), message, hashlib.sha256)

    def mac_matches(self, purpose: str, message: bytes, mac: bytes) -> bool:
        """Whether `mac`, or its first 16 bytes or more, was made from `message` with any known key."""
        return len(mac) >= 16 and any(
            hmac.compare_digest(
                hmac.digest(self._derive(kid, purpose), message, hashlib.sha256)[: len(mac)], mac
            )
            for kid in self._keys
        )

    def derive_text(self, purpose: str, message: str, *, kid: str | None = None) -> tuple[str, str]:
        """(key id, 43 URL-safe characters) that follow from `message` and the key; the same on every instance.

        Raises:
            KeyUnknown: the key `kid` is not known, or not any more.
        """
        kid = kid or self._current
        if kid not in self._keys:
            raise KeyUnknown
        raw = hmac.digest(self._derive(kid, purpose), message.encode(), hashlib.sha256)
        return kid, base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    def seal(self, purpose: str, plaintext: bytes, *, bound_to: bytes) -> bytes:
        """`plaintext` encrypted with AES-256-GCM; it opens only together with the same `bound_to`."""
        nonce = os.urandom(12)
        kid = self._current.encode()
        sealed = AESGCM(self._derive(self._current, purpose)).encrypt(nonce, plaintext, bound_to)
        return _FORMAT + bytes([len(kid)]) + kid + nonce + sealed

    def open(self, purpose: str, sealed: bytes, *, bound_to: bytes) -> bytes:
        """What `seal` was given.

        Raises:
            SealBroken: altered, moved to another owner, or its key is not among the known ones.
        """
        try:
            if sealed[:1] != _FORMAT:
                raise SealBroken
            end = 2 + sealed[1]
            kid, nonce, body = sealed[2:end].decode(), sealed[end : end + 12], sealed[end + 12 :]
            if kid not in self._keys:
                raise SealBroken
            return AESGCM(self._derive(kid, purpose)).decrypt(nonce, body, bound_to)
        except (InvalidTag, IndexError, ValueError, UnicodeDecodeError) as error:
            raise SealBroken from error

    @property
    def pairs(self) -> tuple[tuple[str, bytes], ...]:
        """(key id, key), the one that signs and seals first: to make another ring of, never to be shown."""
        return tuple(self._keys.items())

    @property
    def current_kid(self) -> str:
        """Id of the key that signs and seals now."""
        return self._current

    def _derive(self, kid: str, purpose: str) -> bytes:
        return HKDF(SHA256(), 32, salt=None, info=f"secondbrain:{purpose}".encode()).derive(self._keys[kid])

    def __repr__(self) -> str:
        return f"Keyring({', '.join(self._keys)})"


def kid_of_sealed(sealed: bytes) -> str:
    """Id of the key with which `Keyring.seal` made `sealed`; empty when it did not."""
    if len(sealed) < 2 or sealed[:1] != _FORMAT:
        return ""
    return sealed[2 : 2 + sealed[1]].decode(errors="replace")
