"""Passwords: which are accepted, and that checking costs the same for nobody's account."""

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import VerifyMismatchError
from argon2.profiles import RFC_9106_LOW_MEMORY

from backend.tenants.passwords import Passwords, WeakPassword, _made_up, check_strength

ADA = "ada.lovelace@example.org"


@pytest.mark.parametrize(
    "password",
    ["Sup3rsecret", "Aa345678", "Aa1" + "x" * 125, "Ünïcödé1", "With 5paces and no symbols", "Ada1isshort"],
)
def test_strong_password_is_accepted(password: str) -> None:
    email = "ada@example.org" if password.startswith("Ada1") else ADA
    # A local part of three characters turns up in too many good passwords to be held against one.
    check_strength(password, email=email)


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("Aa34567", "8 to 128"),
        ("Aa1" + "x" * 126, "8 to 128"),
        ("nouppercase1", "upper-case"),
        ("NOLOWERCASE1", "lower-case"),
        ("NoDigitAtAll", "digit"),
        ("Password1", "too common"),
        ("Ada.Lovelace1", "e-mail name"),
        ("xxADA.lovelace1", "e-mail name"),
    ],
)
def test_weak_password_is_refused_with_the_one_thing_to_change(password: str, words: str) -> None:
    with pytest.raises(WeakPassword, match=words):
        check_strength(password, email=ADA)


def test_hash_is_argon2id_with_the_recommended_parameters_and_a_fresh_salt() -> None:
    passwords = Passwords()
    first, second = passwords.hash("Sup3rsecret"), passwords.hash("Sup3rsecret")
    assert first != second
    assert extract_parameters(first) == RFC_9106_LOW_MEMORY


def test_matches_is_true_for_its_own_password_only() -> None:
    passwords = Passwords(PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    stored = passwords.hash("Sup3rsecret")
    assert passwords.matches(stored, "Sup3rsecret")
    assert not passwords.matches(stored, "sup3rsecret")
    assert not passwords.matches(stored, "")


def test_matches_is_false_without_a_usable_hash_whatever_the_password() -> None:
    passwords = Passwords(PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    for stored in (None, "!", "", "$argon2id$damaged"):
        for password in ("nobody has this password", "", "!"):
            assert not passwords.matches(stored, password)


def test_hash_of_nobody_costs_as_much_as_any_and_matches_nothing() -> None:
    for hasher in (PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY), PasswordHasher(2, 128, 1, 20, 12)):
        made_up = _made_up(hasher)
        assert extract_parameters(made_up) == extract_parameters(hasher.hash("Sup3rsecret"))
        assert made_up != _made_up(hasher)
        with pytest.raises(VerifyMismatchError):
            hasher.verify(made_up, "Sup3rsecret")
