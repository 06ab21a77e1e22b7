"""Slack's calls about events, signed as docs.slack.dev/authentication/verifying-requests-from-slack describes."""

import hashlib
import hmac
import json
import time
from dataclasses import replace
from typing import Any

import pytest

from backend.connectors.providers.provider import Delivery, Notice, load
from backend.connectors.providers.slack import PROVIDER
from backend.connectors.providers.slack.events import EventUnreadable, NotFromSlack, read_event

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"


def delivery(said: Any, *, secret: str = SECRET, stamp: str | None = None, **headers: str) -> Delivery:
    """A call with this body, signed now."""
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    stamp = stamp if stamp is not None else str(int(time.time()))
    digest = hmac.new(secret.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    signed = {"x-slack-request-timestamp": stamp, "x-slack-signature": f"v0={digest}"}
    return Delivery({**signed, **named}, body, SECRET)


def event(kind: str, **more: Any) -> dict[str, Any]:
    """The wrapper Slack puts around an event."""
    inner = {"type": kind, "channel": "C1", "ts": "1355517523.000005"}
    return {
        "type": "event_callback",
        "team_id": "T1",
        "api_app_id": "A1",
        "event_id": "Ev1",
        "event": inner,
        **more,
    }


def test_the_signature_is_the_published_one() -> None:
    """Slack's own example, with its time taken for now."""
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
        b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
        b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    expected = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    made = delivery(body, stamp="1531420618")
    assert made.headers["x-slack-signature"] == expected
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: 1531420618.0 + 299)
        with pytest.raises(EventUnreadable):
            read_event(made)  # genuine, but a command and no event
        patch.setattr(time, "time", lambda: 1531420618.0 + 301)
        with pytest.raises(NotFromSlack):
            read_event(made)


def test_the_challenge_is_answered() -> None:
    notice = load(PROVIDER.webhook or "")(
        delivery({"type": "url_verification", "challenge": "3eZbrw1a", "token": "x"})
    )
    assert notice.answer == {"challenge": "3eZbrw1a"}
    assert not notice.is_change


@pytest.mark.parametrize(
    ("kind", "is_change"),
    [
        ("message", True),
        ("channel_rename", True),
        ("channel_archive", True),
        ("group_rename", True),
        ("member_joined_channel", True),
        ("file_deleted", True),
        ("file_change", True),
        ("tokens_revoked", True),
        ("app_uninstalled", True),
        ("reaction_added", False),
        ("app_mention", False),
        ("", False),
    ],
)
def test_events_that_a_sync_would_see(kind: str, is_change: bool) -> None:
    assert read_event(delivery(event(kind))) == Notice("Ev1", is_change, ("T1",))


def test_a_repeated_call_is_the_same_delivery() -> None:
    first = read_event(delivery(event("message")))
    again = read_event(delivery(event("message"), x_slack_retry_num="1", x_slack_retry_reason="http_timeout"))
    assert first.delivery_id == again.delivery_id == "Ev1"


def test_a_shared_channel_concerns_every_workspace_it_is_delivered_for() -> None:
    said = event("message", authorizations=[{"team_id": "T2"}, {"team_id": "T1"}, None, {"team_id": None}])
    assert read_event(delivery(said)).account_ids == ("T1", "T2")


def test_events_held_back_by_slack_are_a_change() -> None:
    said = {"type": "app_rate_limited", "team_id": "T1", "minute_rate_limited": 1518467820}
    notice = read_event(delivery(said))
    assert (notice.is_change, notice.account_ids) == (True, ("T1",))
    assert notice.delivery_id != read_event(delivery({**said, "minute_rate_limited": 1518467880})).delivery_id


def test_what_slack_has_not_signed_is_refused() -> None:
    genuine = delivery(event("message"))
    now = int(time.time())
    refused = [
        replace(genuine, secret=""),
        replace(genuine, secret="another"),
        replace(genuine, body=genuine.body + b" "),
        replace(genuine, headers={}),
        replace(genuine, headers={**genuine.headers, "x-slack-signature": "v0=é"}),
        replace(genuine, headers={**genuine.headers, "x-slack-signature": ""}),
        delivery(event("message"), secret=""),
        replace(delivery(event("message"), secret=""), secret=""),
        *(
            delivery(event("message"), stamp=stamp)
            for stamp in (str(now - 301), str(now + 301), "", "soon", "²", "9" * 99)
        ),
    ]
    for call in refused:
        with pytest.raises(NotFromSlack):
            read_event(call)
    assert read_event(genuine).is_change


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"[" * 100_000, b'{"type": "block_actions"}', b"\xff"])
def test_what_is_signed_but_says_nothing(body: bytes) -> None:
    with pytest.raises(EventUnreadable):
        read_event(delivery(body))
