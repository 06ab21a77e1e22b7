"""Slack's calls about what happened in a workspace (Events API).

The signature is Slack's `v0` scheme: HMAC-SHA-256 over version, time and body, at most five minutes old.
https://docs.slack.dev/authentication/verifying-requests-from-slack, https://docs.slack.dev/apis/events-api
"""

import hashlib
import hmac
import json
import time
from typing import Any, Final

from backend.connectors.providers.provider import Delivery, Notice
from backend.errors import Forbidden, Invalid

#: How old a call may be, either way, in seconds.
MAX_AGE: Final = 300

#: Beginnings of the types after which a sync sees something else. The last two end the connection, and a sync says so.
_CHANGES: Final = (
    "message", "channel_", "group_", "file_", "member_joined_channel", "member_left_channel", "app_uninstalled",
    "tokens_revoked",
)  # fmt: skip


class NotFromSlack(Forbidden):
    """The call is not signed by Slack, or too old."""


class EventUnreadable(Invalid):
    """The call is signed by Slack, but says nothing that is understood."""


def read_event(delivery: Delivery) -> Notice:
    """What a call says. Raises NotFromSlack or EventUnreadable."""
    _verify(delivery)
    try:
        said = json.loads(delivery.body)
    except (ValueError, RecursionError) as error:
        raise EventUnreadable from error
    if not isinstance(said, dict):
        raise EventUnreadable
    match said.get("type"):
        case "url_verification":
            challenge = str(said.get("challenge") or "")
            return Notice(f"challenge:{_short(challenge)}", is_change=False, answer={"challenge": challenge})
        case "event_callback":
            event = said.get("event")
            kind = str(event.get("type") or "") if isinstance(event, dict) else ""
            # The same when Slack repeats a call (X-Slack-Retry-Num).
            delivery_id = (
                str(said.get("event_id") or "") or f"body:{_short(delivery.body.decode('utf-8', 'replace'))}"
            )
            return Notice(delivery_id, is_change=kind.startswith(_CHANGES), account_ids=_workspaces(said))
        case "app_rate_limited":
            # Slack holds events back: nobody knows what they would have said.
            minute = said.get("minute_rate_limited")
            workspaces = _workspaces(said)
            return Notice(f"limited:{minute}:{'-'.join(workspaces)}", is_change=True, account_ids=workspaces)
    raise EventUnreadable


def _verify(delivery: Delivery) -> None:
    stamp = delivery.headers.get("x-slack-request-timestamp", "")
    given = delivery.headers.get("x-slack-signature", "")
    if not delivery.secret or not (stamp.isascii() and stamp.isdecimal() and len(stamp) <= 12):
        raise NotFromSlack
    if abs(time.time() - int(stamp)) > MAX_AGE:
        raise NotFromSlack
    signed = b"v0:" + stamp.encode() + b":" + delivery.body
    expected = "v0=" + hmac.new(delivery.secret.encode(), signed, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), given.encode()):
        raise NotFromSlack


def _workspaces(said: dict[str, Any]) -> tuple[str, ...]:
    """The workspace the event is from, and the ones it is delivered for (they differ in shared channels)."""
    named = [said.get("team_id")]
    authorizations = said.get("authorizations")
    if isinstance(authorizations, list):
        named += [item.get("team_id") for item in authorizations if isinstance(item, dict)]
    return tuple(dict.fromkeys(str(team) for team in named if team))


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
