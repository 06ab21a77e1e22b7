"""Keys by purpose and key id: what one purpose made is worth nothing for another, and keys can be rotated."""

import base64
import json
import time
from typing import Any, Final

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.keyring import ISSUER, Keyring, SealBroken, TokenExpired, TokenInvalid

OLD: Final = ("old", b"o" * 32)
NEW: Final = ("new", b"n" * 32)
RING: Final = Keyring([NEW])
ROTATED: Final = Keyring([NEW, OLD])


def later(seconds: int = 3600) -> int:
    """Unix time in `seconds`."""
    return int(time.time()) + seconds


def parts_of(token: str) -> list[dict[str, Any]]:
    """Head and claims of a token."""
    return [json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2]]


def forged(key: bytes | str, *, algorithm: str = "HS256", kid: str | None = "new", **claims: Any) -> str:
    """A token somebody else made."""
    whole = {"iss": ISSUER, "aud": "access", "exp": later(), **claims}
    kept = {name: value for name, value in whole.items() if value is not None}
    return jwt.encode(kept, key, algorithm=algorithm, headers={"kid": kid} if kid else {})


def own_key(purpose: str) -> bytes:
    """The key behind a purpose, as only the ring itself should know it."""
    return RING._derive("new", purpose)


def test_signed_claims_come_back() -> None:
    claims = RING.verify("access", RING.sign("access", {"sub": "ada", "exp": later()}))
    assert claims["sub"] == "ada"
    assert claims["aud"] == "access"


def test_token_carries_the_id_of_its_key_and_no_key() -> None:
    head, claims = parts_of(RING.sign("access", {"exp": later()}))
    assert head == {"alg": "HS256", "kid": "new", "typ": "JWT"}
    assert set(claims) == {"exp", "iss", "aud"}


def test_claims_cannot_override_issuer_and_purpose() -> None:
    token = RING.sign("state", {"exp": later(), "aud": "access", "iss": "somebody"})
    with pytest.raises(TokenInvalid):
        RING.verify("access", token)
    assert RING.verify("state", token)["iss"] == ISSUER


def test_token_of_another_purpose_is_refused() -> None:
    """An OAuth state never passes for an access token: another audience, and another key."""
    state = RING.sign("oauth-state", {"exp": later()})
    with pytest.raises(TokenInvalid):
        RING.verify("access", state)
    with pytest.raises(TokenInvalid):
        RING.verify("access", forged(own_key("oauth-state")))


def test_own_key_is_what_makes_a_token_good() -> None:
    """So that the refusals below are about what they say."""
    assert RING.verify("access", forged(own_key("access")))


@pytest.mark.parametrize(
    "token",
    [
        "",
        "a",
        "a.b.c",
        "....",
        "é.é.é",
        "null",
        "e30.e30.e30",
        pytest.param(forged(b"n" * 32), id="signed with the master key"),
        pytest.param(forged(b"x" * 32), id="signed with another key"),
        pytest.param(forged("", algorithm="none", kid=None), id="not signed"),
        pytest.param(forged("", algorithm="none"), id="not signed, key named"),
        pytest.param(forged(own_key("access"), kid="other"), id="unknown key id"),
        pytest.param(forged(own_key("access"), kid=None), id="no key id"),
        pytest.param(forged(own_key("access") * 2, algorithm="HS512"), id="another algorithm"),
        pytest.param(forged(own_key("access"), exp=None), id="never expires"),
        pytest.param(forged(own_key("access"), iss="somebody"), id="another issuer"),
        pytest.param(forged(own_key("access"), iss=None), id="no issuer"),
        pytest.param(forged(own_key("access"), aud="oauth-state"), id="another purpose"),
        pytest.param(forged(own_key("access"), aud=None), id="no purpose"),
        pytest.param(forged(own_key("access"), nbf=later() - 1), id="not yet good"),
        pytest.param(forged(own_key("access"), exp="soon"), id="expires at no time"),
    ],
)
def test_forged_token_is_refused(token: str) -> None:
    with pytest.raises(TokenInvalid):
        RING.verify("access", token)


@pytest.mark.parametrize("part", [0, 1, 2])
def test_altered_token_is_refused(part: int) -> None:
    parts = RING.sign("access", {"sub": "ada", "exp": later()}).split(".")
    parts[part] = ("A" if parts[part][4] != "A" else "B").join((parts[part][:4], parts[part][5:]))
    with pytest.raises(TokenInvalid):
        RING.verify("access", ".".join(parts))


def test_expired_token_is_told_from_a_forged_one() -> None:
    token = RING.sign("access", {"exp": int(time.time()) - 1})
    with pytest.raises(TokenExpired):
        RING.verify("access", token)
    with pytest.raises(TokenInvalid):
        RING.verify("access", forged(b"x" * 32, exp=int(time.time()) - 1))


def test_tokens_of_the_old_key_are_good_until_it_is_dropped() -> None:
    token = Keyring([OLD]).sign("access", {"exp": later()})
    assert ROTATED.verify("access", token)
    with pytest.raises(TokenInvalid):
        Keyring([NEW]).verify("access", token)


def test_first_key_signs_seals_and_derives() -> None:
    assert ROTATED.current_kid == "new"
    assert parts_of(ROTATED.sign("access", {"exp": later()}))[0]["kid"] == "new"
    assert (
        Keyring([NEW]).open("credentials", ROTATED.seal("credentials", b"a", bound_to=b"b"), bound_to=b"b")
        == b"a"
    )
    assert ROTATED.derive_text("pkce", "a")[0] == "new"


def test_sealed_value_opens_to_what_it_was() -> None:
    sealed = RING.seal("credentials", b"token", bound_to=b"row 1")
    assert RING.open("credentials", sealed, bound_to=b"row 1") == b"token"
    assert b"token" not in sealed


def test_same_value_is_sealed_differently_each_time() -> None:
    assert RING.seal("credentials", b"a", bound_to=b"") != RING.seal("credentials", b"a", bound_to=b"")


def test_sealed_value_opens_with_the_old_key_until_it_is_dropped() -> None:
    sealed = Keyring([OLD]).seal("credentials", b"token", bound_to=b"row 1")
    assert ROTATED.open("credentials", sealed, bound_to=b"row 1") == b"token"
    with pytest.raises(SealBroken):
        Keyring([NEW]).open("credentials", sealed, bound_to=b"row 1")


def test_sealed_value_does_not_open_in_another_row_or_for_another_purpose() -> None:
    sealed = RING.seal("credentials", b"token", bound_to=b"row 1")
    with pytest.raises(SealBroken):
        RING.open("credentials", sealed, bound_to=b"row 2")
    with pytest.raises(SealBroken):
        RING.open("cookies", sealed, bound_to=b"row 1")


def test_key_of_the_same_id_but_other_bytes_does_not_open() -> None:
    sealed = Keyring([("a", b"1" * 32)]).seal("credentials", b"token", bound_to=b"")
    with pytest.raises(SealBroken):
        Keyring([("a", b"2" * 32)]).open("credentials", sealed, bound_to=b"")


@pytest.mark.parametrize("at", range(len(RING.seal("credentials", b"token", bound_to=b"row 1"))))
def test_sealed_value_with_any_bit_changed_does_not_open(at: int) -> None:
    sealed = bytearray(RING.seal("credentials", b"token", bound_to=b"row 1"))
    sealed[at] ^= 1
    with pytest.raises(SealBroken):
        RING.open("credentials", bytes(sealed), bound_to=b"row 1")


@given(st.binary(max_size=80))
def test_anything_else_does_not_open(sealed: bytes) -> None:
    with pytest.raises(SealBroken):
        RING.open("credentials", sealed, bound_to=b"")
    with pytest.raises(SealBroken):
        RING.open("credentials", b"\x01\x03new" + sealed, bound_to=b"")


def test_cut_off_value_does_not_open() -> None:
    sealed = RING.seal("credentials", b"token", bound_to=b"")
    for length in range(len(sealed)):
        with pytest.raises(SealBroken):
            RING.open("credentials", sealed[:length], bound_to=b"")


def test_mac_follows_from_purpose_and_message() -> None:
    mac = RING.mac("confirm", b"message")
    assert len(mac) == 32
    assert RING.mac_matches("confirm", b"message", mac)
    assert RING.mac_matches("confirm", b"message", mac[:16])
    assert not RING.mac_matches("confirm", b"other", mac)
    assert not RING.mac_matches("other", b"message", mac)
    assert not Keyring([OLD]).mac_matches("confirm", b"message", mac)


@pytest.mark.parametrize("length", [0, 1, 15])
def test_mac_cut_too_short_matches_nothing(length: int) -> None:
    """An empty one would match everything."""
    assert not RING.mac_matches("confirm", b"message", RING.mac("confirm", b"message")[:length])


def test_mac_of_the_old_key_matches_until_it_is_dropped() -> None:
    mac = Keyring([OLD]).mac("confirm", b"message")
    assert ROTATED.mac_matches("confirm", b"message", mac)
    assert not RING.mac_matches("confirm", b"message", mac)


def test_mac_that_is_too_long_matches_nothing() -> None:
    assert not RING.mac_matches("confirm", b"message", RING.mac("confirm", b"message") + b"\x00")


def test_derived_text_is_the_same_on_every_instance() -> None:
    kid, text = RING.derive_text("pkce", "nonce")
    assert Keyring([NEW]).derive_text("pkce", "nonce") == (kid, text)
    assert Keyring([OLD, NEW]).derive_text("pkce", "nonce", kid=kid) == (kid, text)
    assert len(text) == 43
    assert text not in {RING.derive_text("pkce", "other")[1], RING.derive_text("other", "nonce")[1]}


def test_derived_text_needs_its_key() -> None:
    kid, _ = Keyring([OLD]).derive_text("pkce", "nonce")
    with pytest.raises(TokenInvalid):
        RING.derive_text("pkce", "nonce", kid=kid)


@pytest.mark.parametrize(
    "keys",
    [
        [],
        [("", b"k" * 32)],
        [("a", b"")],
        [("a", b"k" * 31)],
        [("a", b"k" * 33)],
        [("a", b"k" * 32), ("b", b"")],
        [("a", b"k" * 32), ("a", b"l" * 32)],
        [("a" * 256, b"k" * 32)],
    ],
)
def test_unfit_keys_are_refused(keys: list[tuple[str, bytes]]) -> None:
    with pytest.raises(ValueError, match="key"):
        Keyring(keys)


def test_ring_shows_no_key() -> None:
    assert repr(ROTATED) == "Keyring(new, old)"
    assert "nnnn" not in str(vars(Keyring)) + repr(ROTATED)


def test_ring_cannot_be_changed_from_outside() -> None:
    keys = [NEW]
    ring = Keyring(keys)
    keys.append(OLD)
    with pytest.raises(TokenInvalid):
        ring.verify("access", Keyring([OLD]).sign("access", {"exp": later()}))
