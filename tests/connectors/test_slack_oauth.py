"""Connecting Slack: against the emulator, and against answers written from Slack's description of oauth.v2.access,
auth.test and auth.revoke for what the emulator lacks (token rotation, revoking, refusals)."""

import base64
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import stamina

from backend.connectors.providers.contract import (
    Account,
    Credentials,
    CredentialsRejected,
    OAuthProvider,
    Opening,
    ProviderRefused,
    ProviderUnavailable,
    RateLimited,
)
from backend.connectors.providers.provider import OAuthApp
from backend.connectors.providers.slack import PROVIDER, SlackSettings
from backend.connectors.providers.slack.oauth import DEFAULT_SCOPES, SlackOAuth
from backend.connectors.providers.slack.tokens import accept_token
from tests.emulators.scripted import Reply, Request, ScriptedServer, json_reply, scripted_server
from tests.emulators.slack import (
    BOT_TOKEN,
    CLIENT_ID,
    CLIENT_SECRET,
    REDIRECT_URI,
    WORKSPACE,
    WORKSPACE_ID,
    SlackEmulator,
    slack_emulator,
)

TOKEN = "xoxb-never-to-be-seen"
ROTATING = Credentials("xoxe.xoxb-old", "xoxe-1-old", None, ("channels:read",), "bot")


@pytest.fixture(scope="module")
def slack() -> Iterator[SlackEmulator]:
    with slack_emulator(channels={"engineering": False}) as emulator:
        yield emulator


@pytest.fixture
def provider(slack: SlackEmulator) -> OAuthProvider:
    assert PROVIDER.make_oauth is not None
    return PROVIDER.make_oauth(OAuthApp(CLIENT_ID, CLIENT_SECRET, slack.base_url, slack.base_url))


def test_connect_yields_credentials_of_the_workspace(slack: SlackEmulator, provider: OAuthProvider) -> None:
    url = provider.authorization_url(redirect_uri=REDIRECT_URI, state="a-state", code_verifier="v" * 43)
    sent = parse_qs(urlsplit(url).query)
    assert sent["scope"] == [",".join(DEFAULT_SCOPES)]
    assert "user_scope" not in sent
    assert "code_challenge" not in sent

    callback = urlsplit(slack.authorize(url))
    returned = parse_qs(callback.query)
    assert callback._replace(query="").geturl() == REDIRECT_URI
    assert returned["state"] == ["a-state"]
    credentials = provider.exchange(
        code=returned["code"][0], redirect_uri=REDIRECT_URI, code_verifier="v" * 43
    )
    assert credentials.scopes == DEFAULT_SCOPES
    assert (credentials.expires_at, credentials.refresh_token) == (None, None)
    assert provider.account(credentials) == Account(WORKSPACE_ID, WORKSPACE)

    slack.invite(slack.channel("engineering"))
    slack.post(slack.channel("engineering"), "Read with a token of the sign-in.")
    opening = Opening(SlackSettings().model_dump(), credentials, slack.base_url)
    with closing(PROVIDER.open_source(opening)) as source:
        entries = [entry for page in source.pages(None) for entry in page.entries]
        assert b"Read with a token of the sign-in." in source.read(entries[0]).body


def test_exchange_refuses_a_code_the_second_time(slack: SlackEmulator, provider: OAuthProvider) -> None:
    code = consent(slack, provider)
    provider.exchange(code=code, redirect_uri=REDIRECT_URI, code_verifier="")
    with pytest.raises(ProviderRefused, match="used already"):
        provider.exchange(code=code, redirect_uri=REDIRECT_URI, code_verifier="")


def test_exchange_refuses_a_wrong_client_secret(slack: SlackEmulator, provider: SlackOAuth) -> None:
    wrong = replace(provider, client_secret="wrong")
    with pytest.raises(ProviderRefused, match="client id and secret"):
        wrong.exchange(code=consent(slack, provider), redirect_uri=REDIRECT_URI, code_verifier="")


def test_tokens_of_an_app_with_rotation_expire_and_are_renewed() -> None:
    def answer(request: Request) -> Reply:
        assert request.headers["authorization"] == "Basic " + base64.b64encode(b"client:secret").decode()
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        if form["grant_type"] == "refresh_token":
            assert form["refresh_token"] == "xoxe-1-old"
        else:
            assert (form["code"], form["redirect_uri"]) == ("the-code", "http://a")
        return json_reply(
            {
                "ok": True, "access_token": "xoxe.xoxb-new", "expires_in": 43200, "refresh_token": "xoxe-1-new",
                "token_type": "bot", "scope": "channels:read,users:read", "bot_user_id": "U1", "app_id": "A1",
                "team": {"id": "T1", "name": "Harbour Works"}, "enterprise": None, "authed_user": {"id": "U2"},
            }
        )  # fmt: skip

    with scripted_server(answer) as server:
        for credentials in (
            connection(server).exchange(code="the-code", redirect_uri="http://a", code_verifier="v" * 43),
            connection(server).refresh(ROTATING),
        ):
            assert credentials.access_token == "xoxe.xoxb-new"
            assert credentials.refresh_token == "xoxe-1-new"
            assert credentials.scopes == ("channels:read", "users:read")
            assert credentials.expires_at is not None
            assert abs(credentials.expires_at - datetime.now(UTC) - timedelta(hours=12)) < timedelta(
                seconds=10
            )


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        ("invalid_refresh_token", CredentialsRejected),
        ("token_revoked", CredentialsRejected),
        ("invalid_client_id", ProviderRefused),
        ("bad_client_secret", ProviderRefused),
        ("ratelimited", ProviderUnavailable),
        ("internal_error", ProviderUnavailable),
    ],
)
def test_refresh_tells_what_only_connecting_again_mends(error: str, raised: type[Exception]) -> None:
    with scripted_server(lambda _: json_reply({"ok": False, "error": error})) as server:
        with pytest.raises(raised):
            connection(server).refresh(ROTATING)
        assert len(server.requests) == 1
        with pytest.raises(CredentialsRejected):
            connection(server).refresh(replace(ROTATING, refresh_token=None))


@pytest.mark.parametrize(
    "reply",
    [
        json_reply({}, 503),
        Reply(200, b"<html>"),
        Reply(200, b"{}"),
        Reply(200, b"[]"),
        Reply(200, b"{", missing_bytes=9),
    ],
)
def test_exchange_is_tried_once_when_slack_fails(reply: Reply) -> None:
    with scripted_server(lambda _: reply) as server:
        with pytest.raises(ProviderUnavailable):
            connection(server).exchange(code="c", redirect_uri="http://a", code_verifier="v" * 43)
        assert len(server.requests) == 1


def test_an_installation_for_a_whole_organisation_is_refused() -> None:
    token = {"ok": True, "access_token": TOKEN, "is_enterprise_install": True, "team": None}
    with (
        scripted_server(lambda _: json_reply(token)) as server,
        pytest.raises(ProviderRefused, match="one workspace"),
    ):
        connection(server).exchange(code="c", redirect_uri="http://a", code_verifier="v" * 43)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"ok": True, "revoked": True}, None),
        ({"ok": False, "error": "token_revoked"}, None),
        ({"ok": False, "error": "invalid_auth"}, None),
        ({"ok": False, "error": "restricted_action"}, ProviderRefused),
        ({"ok": False, "error": "internal_error"}, ProviderUnavailable),
    ],
)
def test_revoke_ends_the_token(answer: dict[str, Any], error: type[Exception] | None) -> None:
    with scripted_server(lambda _: json_reply(answer)) as server:
        with pytest.raises(error) if error else nullcontext():
            connection(server).revoke(Credentials(TOKEN, None, None, (), "bot"))
        (request,) = server.requests
    assert (request.method, request.path) == ("POST", "/api/auth.revoke")
    assert request.headers["authorization"] == f"Bearer {TOKEN}"


def test_a_pasted_token_connects_its_workspace(slack: SlackEmulator) -> None:
    credentials, account = accept_token(f"  {BOT_TOKEN}\n", slack.base_url)
    assert credentials.access_token == BOT_TOKEN
    assert account == Account(WORKSPACE_ID, WORKSPACE)
    with scripted_server(
        lambda _: json_reply(
            {"ok": True, "team_id": "T1", "team": "A"}, x_oauth_scopes="channels:read,users:read"
        )
    ) as server:
        assert accept_token(TOKEN, server.base_url)[0].scopes == ("channels:read", "users:read")


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("", "begin with xoxb-"),
        ("xoxb-", "begin with xoxb-"),
        ("hello", "begin with xoxb-"),
        ("xoxb-with spaces and more", "begin with xoxb-"),
        ("xoxb-" + "a" * 600, "begin with xoxb-"),
        ("xoxp-1234567890-abc", "a person's token"),
        ("xapp-1234567890-abc", "app-level token"),
        ("xoxe.xoxb-1-abcdefghijk", "rotation"),
        ("xoxe-1-abcdefghijk", "refresh token"),
    ],
)
def test_what_is_no_bot_token_is_never_sent(token: str, reason: str) -> None:
    with scripted_server(lambda _: json_reply({"ok": True})) as server:
        with pytest.raises(ProviderRefused, match=reason):
            accept_token(token, server.base_url)
        assert not server.requests


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (json_reply({"ok": False, "error": "invalid_auth"}), ProviderRefused),
        (json_reply({"ok": False, "error": "account_inactive"}), ProviderRefused),
        (json_reply({"ok": True}), ProviderUnavailable),
        (json_reply({}, 502), ProviderUnavailable),
        (json_reply({}, 429), RateLimited),
    ],
)
def test_a_pasted_token_that_slack_refuses(reply: Reply, error: type[Exception]) -> None:
    with (
        scripted_server(lambda _: reply) as server,
        stamina.set_testing(True, attempts=2, cap=True),
        pytest.raises(error) as raised,
    ):
        accept_token(TOKEN, server.base_url)
    assert TOKEN not in str(raised.value)


@pytest.mark.parametrize(
    ("given", "valid"),
    [
        ({}, True),
        ({"channels": None}, True),
        ({"channels": []}, True),
        ({"channels": ["C012AB3CD", "G012AC86C"], "history_days": 90}, True),
        ({"channels": ["general"]}, False),
        ({"channels": "C012AB3CD"}, False),
        ({"history_days": -1}, False),
        ({"token": "xoxb-1"}, False),
    ],
)
def test_settings_are_validated(given: dict[str, Any], valid: bool) -> None:
    with nullcontext() if valid else pytest.raises(ValueError):
        SlackSettings.model_validate(given)


def test_nothing_shows_a_secret_and_signing_in_loads_no_walk() -> None:
    assert "secret" not in repr(SlackOAuth("client", "secret"))
    program = (
        "import sys; from backend.connectors.providers.slack import oauth, tokens, channels, events;"
        "print('\\n'.join(sys.modules))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert "backend.connectors.providers.slack.oauth" in loaded.splitlines()
    assert "backend.connectors.providers.slack.source" not in loaded.splitlines()


def consent(slack: SlackEmulator, provider: OAuthProvider) -> str:
    """The code of a consent just given."""
    url = provider.authorization_url(redirect_uri=REDIRECT_URI, state="s", code_verifier="v" * 43)
    return parse_qs(urlsplit(slack.authorize(url)).query)["code"][0]


def connection(server: ScriptedServer) -> SlackOAuth:
    """The provider pointed at `server`."""
    return SlackOAuth("client", "secret", server.base_url, server.base_url)
