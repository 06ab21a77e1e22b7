"""Settings: read once, checked whole, frozen, and shown without secrets."""

import base64
import re
from pathlib import Path
from typing import Any, Final

import pytest
from pydantic import ValidationError

from backend.settings import Settings, generate_key
from backend.wiring import make_keyring

KEY: Final = base64.b64encode(b"k" * 32).decode()
OTHER_KEY: Final = base64.b64encode(b"l" * 32).decode()


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in Settings.model_fields.values():
        monkeypatch.delenv(str(field.alias), raising=False)


def read(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    """Settings of an environment with nothing but `variables`."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return Settings()


def test_defaults_are_enough_to_start() -> None:
    settings = Settings()
    assert settings.database_url.get_secret_value() == ""
    assert settings.secret_keys == ()
    assert settings.port == 5003


def test_every_setting_says_what_it_means() -> None:
    """The text below each field is what `docs` and people read."""
    source = Path(__file__).parents[1].joinpath("backend", "settings.py").read_text()
    body = source.partition("class Settings")[2].partition("@field_validator")[0]
    described = re.findall(r"^    (\w+): (?:.|\n)*?^    \"\"\"", body, re.MULTILINE)
    assert set(described) == set(Settings.model_fields)


def test_every_setting_has_a_name_in_the_environment() -> None:
    aliases = [field.alias or "" for field in Settings.model_fields.values()]
    assert all(re.fullmatch(r"[A-Z][A-Z0-9_]+", alias) for alias in aliases)
    assert len(set(aliases)) == len(aliases)


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch, DATABASE_URL="postgresql://u:p@h/d", PORT="8080", WORKER_THREADS="7")
    assert settings.database_url.get_secret_value() == "postgresql://u:p@h/d"
    assert (settings.port, settings.worker_threads) == (8080, 7)


def test_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch, PORT="", SECRET_KEYS="", INSTANCE_PORT="", CORS_ORIGINS="")
    assert (settings.port, settings.secret_keys, settings.instance_port) == (5003, (), None)
    assert settings.cors_origins


def test_settings_cannot_be_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch)
    with pytest.raises(ValidationError):
        settings.port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "http"),
        ("DATABASE_POOL_SIZE", "0"),
        ("WORKER_THREADS", "0"),
        ("LEASE_SECONDS", "0"),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
        ("MAX_REQUEST_BYTES", "-1"),
        ("ACCESS_TOKEN_SECONDS", "0"),
        ("OAUTH_NONCE_SECONDS", "0"),
        ("EMBEDDING_BASE_URL", "http://h"),
        ("LLM_BASE_URL", "http://h"),
        ("SECRET_KEYS", "no-colon"),
        ("SECRET_KEYS", "a:not base64!"),
        ("SECRET_KEYS", "a:c2hvcnQ="),
        ("SECRET_KEYS", "a:"),
        ("SECRET_KEYS", f"a:{KEY},a:{OTHER_KEY}"),
    ],
)
def test_unfit_value_is_refused_and_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    with pytest.raises(ValidationError) as caught:
        read(monkeypatch, **{name: value})
    assert name in str(caught.value)


def test_keys_are_read_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch, SECRET_KEYS=f"new:{KEY}, old:{OTHER_KEY},")
    assert [kid for kid, _ in settings.secret_keys] == ["new", "old"]
    assert make_keyring(settings).current_kid == "new"


def test_generated_key_is_accepted_and_never_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = generate_key(), generate_key()
    assert first != second
    assert len(read(monkeypatch, SECRET_KEYS=f"{first},{second}").secret_keys) == 2


def test_nothing_signs_without_a_key() -> None:
    with pytest.raises(ValueError, match="SECRET_KEYS is not set"):
        make_keyring(Settings())


def test_key_without_an_id_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"id"):
        make_keyring(read(monkeypatch, SECRET_KEYS=f":{KEY}"))


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets: dict[str, Any] = {
        "DATABASE_URL": "postgresql://u:hunter2@h/d",
        "DATABASE_OWNER_URL": "postgresql://u:hunter2@h/d",
        "DATABASE_DIRECT_URL": "postgresql://u:hunter2@h/d",
        "SECRET_KEYS": f"a:{KEY}",
        "GITHUB_CLIENT_SECRET": "hunter2",
        "EMBEDDING_API_KEY": "hunter2",
        "LLM_API_KEY": "hunter2",
    }
    settings = read(monkeypatch, **secrets)
    for shown in (repr(settings), str(settings), str(settings.model_dump()), settings.model_dump_json()):
        assert "hunter2" not in shown
        assert KEY not in shown


def test_refused_key_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the command line prints of a refusal: place and reason."""
    with pytest.raises(ValidationError) as caught:
        read(monkeypatch, SECRET_KEYS=f"a:{KEY}x")
    printed = [f"{e['loc']} {e['msg']}" for e in caught.value.errors(include_url=False, include_input=False)]
    assert not [line for line in printed if KEY in line]


def test_origins_are_a_list_without_trailing_slashes(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(
        monkeypatch, CORS_ORIGINS="https://a.example/, https://b.example,", FRONTEND_URL="https://c.example/"
    )
    assert settings.allowed_origins == {"https://a.example", "https://b.example", "https://c.example"}


def test_addresses_lose_their_trailing_slash(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch, PUBLIC_URL="https://a.example/", GITHUB_API_BASE="https://g.example/api/v3/")
    assert settings.public_url == "https://a.example"
    assert settings.github_api_base == "https://g.example/api/v3"


def test_outside_models_are_configured_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(
        monkeypatch,
        EMBEDDING_BASE_URL="http://h/v1",
        EMBEDDING_MODEL="m",
        EMBEDDING_DIMENSIONS="768",
        LLM_BASE_URL="http://h/v1",
        LLM_MODEL="m",
    )
    assert settings.embedding_dimensions == 768


def test_public_address_follows_the_port_unless_it_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(monkeypatch, PORT="8080").public_url == "http://localhost:8080"
    assert read(monkeypatch, PORT="8080", PUBLIC_URL="https://a.example").public_url == "https://a.example"
