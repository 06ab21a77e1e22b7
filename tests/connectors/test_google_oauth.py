"""Signing in to Google: against the emulator, and against a server that answers what the emulator does not."""

import base64
import hashlib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import stamina

from backend.connectors.catalogue import load_providers
from backend.connectors.providers.contract import (
    Credentials,
    CredentialsRejected,
    OAuthProvider,
    ProviderRefused,
    ProviderUnavailable,
)
from backend.connectors.providers.google.oauth import Endpoints, GoogleOAuth
from backend.connectors.providers.provider import OAuthApp
from tests.emulators.google import CLIENT_ID, CLIENT_SECRET, REDIRECT_URI, GoogleEmulator, google_emulator
from tests.emulators.google_seed import USER, Seed
from tests.emulators.scripted import Reply, json_reply, scripted_server

VERIFIER = "a-verifier-of-at-least-forty-three-characters-0123456789"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
SCOPE = "https://www.googleapis.com/auth/gmail.readonly"
HELD = Credentials("ya29.never-to-be-seen", "1//never-to-be-seen", None, ("openid", SCOPE), "Bearer")


@pytest.fixture(scope="module")
def google() -> Iterator[GoogleEmulator]:
    with google_emulator(Seed()) as emulator:
        yield emulator


@pytest.fixture
def provider(google: GoogleEmulator) -> GoogleOAuth:
    return connection(google.base_url, CLIENT_ID, CLIENT_SECRET)


def test_connect_yields_credentials_of_the_account_that_consented(
    google: GoogleEmulator, provider: OAuthProvider
) -> None:
    url = provider.authorization_url(redirect_uri=REDIRECT_URI, state="a-state", code_verifier=VERIFIER)
    sent = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    assert (sent["code_challenge"], sent["code_challenge_method"]) == (CHALLENGE, "S256")
    assert (sent["access_type"], sent["prompt"], sent["scope"]) == (
        "offline",
        "consent",
        f"openid email {SCOPE}",
    )
    assert VERIFIER not in url

    credentials = consent(google, provider)
    assert credentials.refresh_token
    assert SCOPE in credentials.scopes
    assert credentials.expires_at is not None
    assert timedelta(0) < credentials.expires_at - datetime.now(UTC) <= timedelta(hours=1)
    account = provider.account(credentials)
    assert account.label == USER
    assert account.external_id.startswith("goog_")


def test_code_works_once_and_with_its_verifier_only(google: GoogleEmulator, provider: GoogleOAuth) -> None:
    code = code_of(google, provider)
    with pytest.raises(ProviderRefused):
        provider.exchange(code=code, redirect_uri=REDIRECT_URI, code_verifier="wrong" * 10)
    wrong = replace(provider, client_secret="wrong")
    with pytest.raises(ProviderRefused, match="client id and secret"):
        wrong.exchange(code=code, redirect_uri=REDIRECT_URI, code_verifier=VERIFIER)
    provider.exchange(code=code, redirect_uri=REDIRECT_URI, code_verifier=VERIFIER)
    with pytest.raises(ProviderRefused, match="used already"):
        provider.exchange(code=code, redirect_uri=REDIRECT_URI, code_verifier=VERIFIER)


def test_refresh_works_until_it_is_revoked(google: GoogleEmulator, provider: OAuthProvider) -> None:
    credentials = consent(google, provider)
    renewed = provider.refresh(credentials)
    assert renewed.access_token != credentials.access_token
    assert renewed.refresh_token == credentials.refresh_token
    assert provider.account(renewed) == provider.account(credentials)
    provider.revoke(renewed)
    with pytest.raises(CredentialsRejected):
        provider.refresh(renewed)
    provider.revoke(renewed)


def test_refresh_token_that_is_replaced_is_kept() -> None:
    with scripted_server(lambda _: json_reply({"access_token": "b", "refresh_token": "new"})) as server:
        renewed = connection(server.base_url).refresh(HELD)
        (request,) = server.requests
    assert (renewed.access_token, renewed.refresh_token, renewed.scopes) == ("b", "new", HELD.scopes)
    form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
    assert form["grant_type"] == "refresh_token"
    assert (form["refresh_token"], form["client_id"], form["client_secret"]) == (
        HELD.refresh_token,
        "client",
        "secret",
    )


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (
            json_reply({"error": "invalid_grant", "error_description": "internal words"}, 400),
            CredentialsRejected,
        ),
        (
            json_reply({"error": "invalid_client", "error_description": "internal words"}, 401),
            ProviderRefused,
        ),
        (json_reply({}, 503), ProviderUnavailable),
        (Reply(200, b"<html>"), ProviderUnavailable),
        (Reply(200, b"{}"), ProviderUnavailable),
        (Reply(200, b"{", missing_bytes=9), ProviderUnavailable),
    ],
)
def test_refresh_is_tried_once(reply: Reply, error: type[Exception]) -> None:
    with scripted_server(lambda _: reply) as server:
        with pytest.raises(error) as raised:
            connection(server.base_url).refresh(HELD)
        assert len(server.requests) == 1
    assert "internal" not in str(raised.value)
    with pytest.raises(CredentialsRejected):
        connection("http://127.0.0.1:9").refresh(replace(HELD, refresh_token=None))


def test_scope_that_was_unticked_is_told_at_once() -> None:
    with (
        scripted_server(lambda _: json_reply({"access_token": "a", "scope": "openid email"})) as server,
        pytest.raises(ProviderRefused, match="ticked"),
    ):
        connection(server.base_url).exchange(code="c", redirect_uri="http://a", code_verifier=VERIFIER)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (json_reply({"error": {"code": 401}}, 401), CredentialsRejected),
        (json_reply({"email": "a@b.org"}), ProviderUnavailable),
        (json_reply([]), ProviderUnavailable),
        (json_reply({}, 500), ProviderUnavailable),
    ],
)
def test_account_that_cannot_be_told(reply: Reply, error: type[Exception]) -> None:
    with (
        scripted_server(lambda _: reply) as server,
        stamina.set_testing(True, attempts=2, cap=True),
        pytest.raises(error),
    ):
        connection(server.base_url).account(HELD)


@pytest.mark.parametrize(
    ("status", "error"), [(200, None), (400, None), (403, ProviderRefused), (500, ProviderUnavailable)]
)
def test_revoke_ends_the_grant(status: int, error: type[Exception] | None) -> None:
    with scripted_server(lambda _: Reply(status)) as server:
        with pytest.raises(error) if error else nullcontext():
            connection(server.base_url).revoke(HELD)
        (request,) = server.requests
    assert (request.method, request.path) == ("POST", "/oauth2/revoke")
    assert parse_qs(request.body.decode()) == {"token": [HELD.refresh_token]}


def test_each_source_asks_for_its_own_scope_at_googles_own_addresses() -> None:
    providers = load_providers()
    for name, scope in (("gmail", "gmail.readonly"), ("google_drive", "drive.readonly")):
        made = providers[name].make_oauth
        assert made is not None
        oauth = made(OAuthApp("client", "secret"))
        url = urlsplit(oauth.authorization_url(redirect_uri="http://a", state="s", code_verifier=VERIFIER))
        assert f"{url.scheme}://{url.netloc}{url.path}" == "https://accounts.google.com/o/oauth2/v2/auth"
        assert parse_qs(url.query)["scope"] == [f"openid email https://www.googleapis.com/auth/{scope}"]
        assert "include_granted_scopes" not in url.query
        assert oauth.name == name
        assert "secret" not in repr(oauth)


def test_importing_the_sign_in_does_not_load_the_walk() -> None:
    program = "import sys, backend.connectors.providers.google.oauth; print('\\n'.join(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert not [
        name for name in loaded.splitlines() if name.endswith((".gmail.source", ".google_drive.source"))
    ]


def connection(base: str, client_id: str = "client", secret: str = "secret") -> GoogleOAuth:  # noqa: S107
    """Gmail's sign-in at one origin."""
    app = OAuthApp(client_id, secret, authorize_base=base, api_base=base)
    return GoogleOAuth("gmail", client_id, secret, SCOPE, Endpoints.of(app))


def code_of(google: GoogleEmulator, provider: OAuthProvider) -> str:
    """The code of a consent just given."""
    url = provider.authorization_url(redirect_uri=REDIRECT_URI, state="s", code_verifier=VERIFIER)
    return parse_qs(urlsplit(google.authorize(url, USER)).query)["code"][0]


def consent(google: GoogleEmulator, provider: OAuthProvider) -> Credentials:
    """Credentials of a consent just given."""
    return provider.exchange(
        code=code_of(google, provider), redirect_uri=REDIRECT_URI, code_verifier=VERIFIER
    )
