"""Signing in to Box and Microsoft, against servers written from their published descriptions: `POST /oauth2/token`
and `/oauth2/revoke` of github.com/box/box-openapi, and the OAuth 2.0 authorization code flow of the Microsoft identity
platform (learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow)."""

import base64
import hashlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from backend.connectors.providers import box, onedrive
from backend.connectors.providers.box.oauth import BoxOAuth
from backend.connectors.providers.contract import (
    Account,
    Credentials,
    CredentialsRejected,
    OAuthProvider,
    ProviderRefused,
    ProviderUnavailable,
)
from backend.connectors.providers.file_types import DOCUMENT_TYPES
from backend.connectors.providers.onedrive.oauth import MicrosoftOAuth
from backend.connectors.providers.provider import OAuthApp
from backend.documents.parsing import parser
from tests.emulators.scripted import Reply, Request, ScriptedServer, json_reply, scripted_server

VERIFIER = "a-verifier-of-at-least-forty-three-characters-0123456789"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
REDIRECT = "http://localhost:5003/api/integrations/x/callback"


@dataclass
class Tokens:
    """A token endpoint whose refresh tokens work once."""

    issued: int = 0
    valid: set[str] = field(default_factory=set)
    scope: str | None = None

    def __call__(self, request: Request) -> Reply:
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        if request.method == "POST" and (form["client_id"], form["client_secret"]) != ("client", "secret"):
            return json_reply({"error": "invalid_client", "error_description": "internal words"}, 401)
        match request.path.partition("?")[0]:
            case "/oauth2/token" | "/contoso.example/oauth2/v2.0/token":
                return self._token(form)
            case "/oauth2/revoke":
                if form["token"] not in self.valid:
                    return json_reply({"error": "invalid_token"}, 400)
                self.valid.clear()
                return Reply(200)
            case "/2.0/users/me":
                return json_reply({"type": "user", "id": "7", "login": "owner@example.com"})
            case "/v1.0/me":
                return json_reply({"id": "7", "userPrincipalName": "owner@example.com"})
        return Reply(404)

    def _token(self, form: dict[str, str]) -> Reply:
        if form["grant_type"] == "authorization_code":
            is_proven = "code_verifier" not in form or form["code_verifier"] == VERIFIER
            is_accepted = form["code"] == "the-code" and form["redirect_uri"] == REDIRECT and is_proven
        else:
            is_accepted = form["refresh_token"] in self.valid
            self.valid.discard(form["refresh_token"])
        if not is_accepted:
            return json_reply({"error": "invalid_grant", "error_description": "internal words"}, 400)
        self.issued += 1
        refresh = f"refresh-{self.issued}"
        self.valid.add(refresh)
        token = {"access_token": f"access-{self.issued}", "refresh_token": refresh, "expires_in": 3600}
        return json_reply({**token, "token_type": "Bearer", **({"scope": self.scope} if self.scope else {})})


PROVIDERS: list[tuple[str, Callable[[str], OAuthProvider]]] = [
    ("box", lambda base: BoxOAuth("client", "secret", base, base)),
    ("onedrive", lambda base: MicrosoftOAuth("client", "secret", base, base, "contoso.example")),
]


@dataclass
class Connection:
    """A provider in front of a server."""

    provider: OAuthProvider
    server: ScriptedServer
    tokens: Tokens

    def exchange(self, code: str = "the-code", verifier: str = VERIFIER) -> Credentials:
        return self.provider.exchange(code=code, redirect_uri=REDIRECT, code_verifier=verifier)

    def form(self) -> dict[str, str]:
        """What was posted last."""
        return {name: values[0] for name, values in parse_qs(self.server.requests[-1].body.decode()).items()}


@contextmanager
def connection(name: str, answer: Callable[[Request], Reply] | None = None) -> Iterator[Connection]:
    tokens = Tokens()
    with scripted_server(answer or tokens) as server:
        yield Connection(dict(PROVIDERS)[name](server.base_url), server, tokens)


@pytest.fixture(params=[name for name, _ in PROVIDERS])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_connect_yields_credentials_of_the_account(name: str) -> None:
    with connection(name) as made:
        credentials = made.exchange()
        assert made.form()["grant_type"] == "authorization_code"
        assert ("code_verifier" in made.form()) == (name == "onedrive")
        assert credentials.refresh_token == "refresh-1"
        assert credentials.expires_at is not None
        assert abs(credentials.expires_at - datetime.now(UTC) - timedelta(hours=1)) < timedelta(minutes=1)
        assert made.provider.account(credentials) == Account("7", "owner@example.com")
        assert made.server.requests[-1].headers["authorization"] == "Bearer access-1"


def test_exchange_refuses_a_code_that_is_not_accepted(name: str) -> None:
    with connection(name) as made:
        with pytest.raises(ProviderRefused, match="used already") as raised:
            made.exchange(code="another")
        assert "internal words" not in raised.value.message


def test_microsoft_proves_that_it_began_the_sign_in() -> None:
    with connection("onedrive") as made, pytest.raises(ProviderRefused):
        made.exchange(verifier="another" * 7)


def test_refresh_replaces_a_token_that_works_once(name: str) -> None:
    with connection(name) as made:
        first = made.exchange()
        second = made.provider.refresh(first)
        assert (second.access_token, second.refresh_token) == ("access-2", "refresh-2")
        with pytest.raises(CredentialsRejected):
            made.provider.refresh(first)
        assert made.provider.refresh(second).refresh_token == "refresh-3"
        with pytest.raises(CredentialsRejected):
            made.provider.refresh(Credentials("a", None, None, (), "bearer"))


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (json_reply({"error": "invalid_grant"}, 400), CredentialsRejected),
        (json_reply({"error": "interaction_required"}, 400), CredentialsRejected),
        (json_reply({"error": "invalid_client"}, 401), ProviderRefused),
        (json_reply({"error": "invalid_scope"}, 400), ProviderRefused),
        (json_reply({"error": "temporarily_unavailable"}, 400), ProviderUnavailable),
        (json_reply({}, 503), ProviderUnavailable),
        (json_reply({}, 429), ProviderUnavailable),
        (Reply(200, b"<html>"), ProviderUnavailable),
        (Reply(200, b"{}"), ProviderUnavailable),
        (Reply(200, b"[]"), ProviderUnavailable),
        (Reply(200, b"{", missing_bytes=9), ProviderUnavailable),
    ],
)
def test_refresh_is_tried_once_whatever_happens(name: str, reply: Reply, error: type[Exception]) -> None:
    with connection(name, lambda _: reply) as made:
        with pytest.raises(error):
            made.provider.refresh(Credentials("a", "r", None, ("Files.Read",), "bearer"))
        assert len(made.server.requests) == 1


def test_refresh_token_stays_when_an_answer_brings_none(name: str) -> None:
    with connection(name, lambda _: json_reply({"access_token": "a", "expires_in": "60"})) as made:
        refreshed = made.provider.refresh(Credentials("a", "r", None, ("Files.Read",), "bearer"))
    assert (refreshed.refresh_token, refreshed.scopes) == ("r", ("Files.Read",))


def test_box_asks_to_read_and_for_no_proof_it_does_not_know() -> None:
    provider = box.make_oauth(OAuthApp("client", "secret"))
    url = urlsplit(provider.authorization_url(redirect_uri=REDIRECT, state="s", code_verifier=VERIFIER))
    assert (url.scheme, url.netloc, url.path) == ("https", "account.box.com", "/api/oauth2/authorize")
    assert parse_qs(url.query) == {
        "response_type": ["code"],
        "client_id": ["client"],
        "redirect_uri": [REDIRECT],
        "state": ["s"],
        "scope": ["root_readonly"],
    }


@pytest.mark.parametrize("with_sites", [False, True])
def test_microsoft_asks_for_sharepoint_only_when_told_to(with_sites: bool) -> None:
    provider = onedrive.make_oauth(
        OAuthApp("client", "secret", directory="contoso.example", with_sites=with_sites)
    )
    url = urlsplit(provider.authorization_url(redirect_uri=REDIRECT, state="s", code_verifier=VERIFIER))
    assert (url.netloc, url.path) == ("login.microsoftonline.com", "/contoso.example/oauth2/v2.0/authorize")
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    assert (
        query["scope"].split()
        == ["offline_access", "User.Read", "Files.Read"] + ["Sites.Read.All"] * with_sites
    )
    assert (query["code_challenge"], query["code_challenge_method"]) == (CHALLENGE, "S256")


@pytest.mark.parametrize(
    ("granted", "asked"),
    [
        (("User.Read", "Files.Read", "profile"), "offline_access User.Read Files.Read"),
        (("https://graph.microsoft.com/Files.Read",), "offline_access Files.Read"),
        (("Files.Read", "Sites.Read.All"), "offline_access Files.Read Sites.Read.All"),
        ((), "offline_access User.Read Files.Read"),
    ],
)
def test_microsoft_is_asked_again_for_what_was_granted(granted: tuple[str, ...], asked: str) -> None:
    with scripted_server(lambda _: json_reply({"access_token": "a"})) as server:
        provider = MicrosoftOAuth("client", "secret", server.base_url, server.base_url, with_sites=True)
        provider.refresh(Credentials("a", "r", None, granted, "bearer"))
        assert parse_qs(server.requests[0].body.decode())["scope"] == [asked]


def test_box_revokes_by_the_refresh_token() -> None:
    with connection("box") as made:
        credentials = made.exchange()
        made.provider.revoke(credentials)
        assert made.form()["token"] == "refresh-1"
        made.provider.revoke(credentials)
        with pytest.raises(CredentialsRejected):
            made.provider.refresh(credentials)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(200), None),
        (json_reply({"error": "invalid_token"}, 400), None),
        (json_reply({"error": "invalid_client"}, 400), ProviderRefused),
        (json_reply({}, 403), ProviderRefused),
        (json_reply({}, 429), ProviderUnavailable),
        (json_reply({}, 500), ProviderUnavailable),
    ],
)
def test_box_says_whether_a_token_has_ended(reply: Reply, error: type[Exception] | None) -> None:
    with connection("box", lambda _: reply) as made, pytest.raises(error) if error else nullcontext():
        made.provider.revoke(Credentials("access", None, None, (), "bearer"))


def test_microsoft_is_not_asked_to_revoke() -> None:
    with connection("onedrive") as made:
        made.provider.revoke(Credentials("access", "refresh", None, (), "bearer"))
        assert made.server.requests == []


def test_secrets_are_never_shown() -> None:
    for made in (BoxOAuth("client", "secret-word"), MicrosoftOAuth("client", "secret-word")):
        assert "secret-word" not in repr(made)
        assert "secret-word" not in repr(made._grant)


@pytest.mark.parametrize("module", ["oauth", "choices"])
def test_web_processes_do_not_load_what_reads_files(name: str, module: str) -> None:
    program = f"import sys, backend.connectors.providers.{name}.{module}; print('\\n'.join(sys.modules))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert f"backend.connectors.providers.{name}.{module}" in run.stdout.split()
    assert f"backend.connectors.providers.{name}.source" not in run.stdout.split()


def test_documents_are_what_the_parser_reads() -> None:
    assert dict(DOCUMENT_TYPES) == {**parser._TEXT_TYPES, **parser._BINARY_TYPES}
