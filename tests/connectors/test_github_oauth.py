"""Signing in to GitHub: against the emulator, and against a server that checks what the emulator does not."""

import base64
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from backend.connectors.providers.contract import (
    Account,
    Credentials,
    CredentialsRejected,
    OAuthProvider,
    ProviderRefused,
    ProviderUnavailable,
)
from backend.connectors.providers.github.oauth import GitHubOAuth
from tests.emulators.github import BAD_TOKEN, REDIRECT_URI, GitHubEmulator, github_emulator
from tests.emulators.github_seed import OWNER, Seed
from tests.emulators.scripted import Reply, Request, ScriptedServer, json_reply, scripted_server

TOKEN = "gho_never-to-be-seen"
VERIFIER = "a-verifier-of-at-least-forty-three-characters-0123456789"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture(scope="module")
def github() -> Iterator[GitHubEmulator]:
    with github_emulator(Seed(())) as emulator:
        yield emulator


@pytest.fixture
def provider(github: GitHubEmulator) -> GitHubOAuth:
    return GitHubOAuth(github.client_id, github.client_secret, github.base_url, github.base_url)


def test_connect_yields_credentials_of_the_account_that_consented(
    github: GitHubEmulator, provider: OAuthProvider
) -> None:
    url = provider.authorization_url(redirect_uri=REDIRECT_URI, state="a-state", code_verifier=VERIFIER)
    sent = parse_qs(urlsplit(url).query)
    assert sent["code_challenge"] == [CHALLENGE]
    assert sent["code_challenge_method"] == ["S256"]
    assert VERIFIER not in url

    callback = urlsplit(github.authorize(url))
    returned = parse_qs(callback.query)
    assert callback._replace(query="").geturl() == REDIRECT_URI
    assert returned["state"] == ["a-state"]

    credentials = provider.exchange(
        code=returned["code"][0], redirect_uri=REDIRECT_URI, code_verifier=VERIFIER
    )
    assert set(credentials.scopes) == {"read:user", "repo"}
    assert credentials.expires_at is None
    user = github.call("GET", f"/users/{OWNER}")
    assert provider.account(credentials) == Account(external_id=str(user["id"]), label=OWNER)


def test_exchange_refuses_a_code_the_second_time(github: GitHubEmulator, provider: OAuthProvider) -> None:
    code = consent(github, provider)
    provider.exchange(code=code, redirect_uri=REDIRECT_URI, code_verifier=VERIFIER)
    with pytest.raises(ProviderRefused, match="used already"):
        provider.exchange(code=code, redirect_uri=REDIRECT_URI, code_verifier=VERIFIER)


def test_exchange_refuses_a_wrong_client_secret(github: GitHubEmulator, provider: GitHubOAuth) -> None:
    code = consent(github, provider)
    wrong = replace(provider, client_secret="wrong")
    with pytest.raises(ProviderRefused, match="client id and secret"):
        wrong.exchange(code=code, redirect_uri=REDIRECT_URI, code_verifier=VERIFIER)


def test_account_rejects_a_token_that_is_not_accepted(provider: OAuthProvider) -> None:
    with pytest.raises(CredentialsRejected):
        provider.account(Credentials(BAD_TOKEN, None, None, (), "bearer"))


@pytest.mark.parametrize(("verifier", "accepted"), [(VERIFIER, True), ("wrong" * 10, False)])
def test_exchange_proves_that_it_began_the_sign_in(verifier: str, accepted: bool) -> None:
    def github(request: Request) -> Reply:
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        assert (form["client_id"], form["client_secret"], form["code"]) == ("client", "secret", "the-code")
        sent = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest())
        if sent.rstrip(b"=").decode() != CHALLENGE:
            return json_reply({"error": "bad_verification_code", "error_description": "internal words"})
        return json_reply({"access_token": TOKEN, "scope": "repo,read:user", "expires_in": 60})

    with scripted_server(github) as server:
        provider = connection(server)
        if accepted:
            credentials = provider.exchange(code="the-code", redirect_uri="http://a", code_verifier=verifier)
            assert credentials.scopes == ("repo", "read:user")
            assert credentials.expires_at is not None
        else:
            with pytest.raises(ProviderRefused) as raised:
                provider.exchange(code="the-code", redirect_uri="http://a", code_verifier=verifier)
            assert "internal words" not in raised.value.message


@pytest.mark.parametrize(
    "reply",
    [json_reply({}, 503), Reply(200, b"<html>"), Reply(200, b"{}"), Reply(200, b"{", missing_bytes=9)],
)
def test_exchange_is_tried_once_when_github_fails(reply: Reply) -> None:
    with scripted_server(lambda _: reply) as server:
        with pytest.raises(ProviderUnavailable):
            connection(server).exchange(code="c", redirect_uri="http://a", code_verifier="v" * 43)
        assert len(server.requests) == 1


def test_refresh_trades_a_token_for_new_ones() -> None:
    def github(request: Request) -> Reply:
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        assert (request.method, request.path) == ("POST", "/login/oauth/access_token")
        assert (form["client_id"], form["client_secret"]) == ("client", "secret")
        assert (form["grant_type"], form["refresh_token"]) == ("refresh_token", "ghr_old")
        token = {"access_token": "ghu_new", "refresh_token": "ghr_new", "expires_in": 28800, "scope": ""}
        return json_reply({**token, "token_type": "bearer", "refresh_token_expires_in": 15897600})

    before = Credentials("ghu_old", "ghr_old", datetime.now(UTC), (), "bearer")
    with scripted_server(github) as server:
        after = connection(server).refresh(before)
    assert (after.access_token, after.refresh_token, after.scopes) == ("ghu_new", "ghr_new", ())
    assert after.expires_at is not None
    assert timedelta(hours=7) < after.expires_at - datetime.now(UTC) <= timedelta(hours=8)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (json_reply({"error": "bad_refresh_token", "error_description": "words"}), CredentialsRejected),
        (json_reply({"error": "invalid_grant"}, 400), CredentialsRejected),
        (json_reply({"error": "incorrect_client_credentials"}), ProviderRefused),
        (json_reply({}, 503), ProviderUnavailable),
        (Reply(200, b"<html>"), ProviderUnavailable),
        (Reply(200, b"{}"), ProviderUnavailable),
    ],
)
def test_refresh_is_tried_once_and_says_what_helps(reply: Reply, error: type[Exception]) -> None:
    with scripted_server(lambda _: reply) as server:
        with pytest.raises(error) as raised:
            connection(server).refresh(Credentials("ghu_old", "ghr_old", None, (), "bearer"))
        assert len(server.requests) == 1
    assert "words" not in str(raised.value)


def test_token_that_does_not_end_cannot_be_refreshed(provider: OAuthProvider) -> None:
    with pytest.raises(CredentialsRejected):
        provider.refresh(Credentials(TOKEN, None, None, ("repo",), "bearer"))


def test_account_that_may_not_be_asked_for_is_refused() -> None:
    with scripted_server(lambda _: json_reply({}, 403)) as server, pytest.raises(ProviderRefused):
        connection(server).account(Credentials(TOKEN, None, None, (), "bearer"))


@pytest.mark.parametrize(
    ("status", "error"),
    [(204, None), (404, None), (422, None), (403, ProviderRefused), (500, ProviderUnavailable)],
)
def test_revoke_ends_this_token_only(status: int, error: type[Exception] | None) -> None:
    with scripted_server(lambda _: Reply(status)) as server:
        with pytest.raises(error) if error else nullcontext():
            connection(server).revoke(Credentials(TOKEN, None, None, (), "bearer"))
        (request,) = server.requests
    assert (request.method, request.path) == ("DELETE", "/applications/client/token")
    assert request.headers["authorization"] == "Basic " + base64.b64encode(b"client:secret").decode()
    assert json.loads(request.body) == {"access_token": TOKEN}


def test_credentials_survive_json_and_never_show_a_token() -> None:
    credentials = Credentials("gho_secret", "ghr_secret", None, ("repo",), "bearer")
    assert Credentials.from_json(credentials.to_json()) == credentials
    assert "secret" not in repr(credentials)
    assert "secret" not in repr(GitHubOAuth("client", "secret"))


def test_importing_the_sign_in_does_not_load_the_walk() -> None:
    program = "import sys, backend.connectors.providers.github.oauth; print('\\n'.join(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert "backend.connectors.providers.github.oauth" in loaded.splitlines()
    assert "backend.connectors.providers.github.source" not in loaded.splitlines()


def consent(github: GitHubEmulator, provider: OAuthProvider) -> str:
    """The code of a consent just given."""
    url = provider.authorization_url(redirect_uri=REDIRECT_URI, state="s", code_verifier=VERIFIER)
    return parse_qs(urlsplit(github.authorize(url)).query)["code"][0]


def connection(server: ScriptedServer) -> GitHubOAuth:
    """The provider pointed at `server`."""
    return GitHubOAuth("client", "secret", server.base_url, server.base_url)
