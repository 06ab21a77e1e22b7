"""Slack misbehaving, refusing and limiting, in the ways its published description of errors and limits names."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stamina

from backend.connectors.providers.contract import (
    JSON,
    Credentials,
    CredentialsRejected,
    CursorExpired,
    Entry,
    ItemGone,
    ItemUnreadable,
    Page,
    ProviderRefused,
    ProviderUnavailable,
    RateLimited,
)
from backend.connectors.providers.provider import open_with
from backend.connectors.providers.slack import PROVIDER, people
from tests.emulators.scripted import Reply, Request, json_reply, scripted_server
from tests.emulators.slack_workspace import TOKEN, Workspace, at, day

C = "C1"


def refusal(error: str, **more: Any) -> Reply:
    """Slack's usual way to say no."""
    return json_reply({"ok": False, "error": error, **more})


@pytest.fixture
def slack() -> Iterator[Workspace]:
    workspace = Workspace(users=[{"id": "U1", "name": "ada", "real_name": "Ada"}])
    workspace.add_channel(C, "engineering")
    workspace.post(C, at(3), "The first.")
    workspace.post(C, at(2), "The second.")
    with scripted_server(workspace) as running, stamina.set_testing(True, attempts=3, cap=True):
        workspace.base_url = running.base_url
        yield workspace


@pytest.mark.parametrize(
    "fault",
    [
        json_reply({}, 502),
        refusal("internal_error"),
        Reply(200, b"<html>", {"content-type": "text/html"}),
        Reply(200, b'{"ok": true, "messages": [', {"content-type": "application/json"}, missing_bytes=500),
        json_reply(["ok"]),
        json_reply({"ok": True}),
        json_reply({"ok": True, "messages": [{"text": "no time"}]}),
    ],
    ids=["502", "internal", "not-json", "cut", "a-list", "no-messages", "no-ts"],
)
def test_a_fault_ends_the_pass_and_its_last_cursor_goes_on(fault: Reply, slack: Workspace) -> None:
    slack.faults["conversations.history"] = [fault] * 3
    with closing(source(slack)) as opened:
        pages = opened.pages(None)
        first = next(pages)
        with pytest.raises(ProviderUnavailable):
            next(pages)
    slack.faults.clear()
    assert ids(walk(slack, first.cursor)) == {f"{C}:day:{day(3)}", f"{C}:day:{day(2)}"}


@pytest.mark.parametrize("fault", [json_reply({}, 503), Reply(200, b'{"ok"', missing_bytes=50)])
def test_a_passing_fault_is_not_noticed(fault: Reply, slack: Workspace) -> None:
    slack.faults["conversations.history"] = [fault, fault]
    assert len(ids(walk(slack))) == 2


@pytest.mark.parametrize("error", ["invalid_auth", "account_inactive", "token_revoked", "token_expired"])
@pytest.mark.parametrize("method", ["auth.test", "conversations.list", "conversations.history", "files.list"])
def test_rejected_credentials_end_the_pass(error: str, method: str, slack: Workspace) -> None:
    slack.faults[method] = [refusal(error)]
    with pytest.raises(CredentialsRejected):
        walk(slack)


def test_limits_say_when_to_come_back(slack: Workspace) -> None:
    cases = (
        (json_reply({"ok": False, "error": "ratelimited"}, 429, retry_after="90"), 90),
        (json_reply({"ok": False, "error": "ratelimited"}, 200, retry_after="30"), 30),
        (json_reply({}, 429), 60),
        (json_reply({}, 429, retry_after="999999"), 7200),
    )
    for reply, seconds in cases:
        slack.faults["conversations.history"] = [reply]
        with pytest.raises(RateLimited) as raised:
            walk(slack)
        expected = datetime.now(UTC) + timedelta(seconds=seconds)
        assert abs(raised.value.resume_at - expected) < timedelta(seconds=5), seconds


def test_a_limited_app_gets_everywhere_in_the_end(slack: Workspace) -> None:
    """One request of history and one of replies a minute, fifteen messages each: what Slack gives to some apps."""
    for minute in range(40):
        slack.post(C, at(1, minute), f"Message {minute}.")
    for minute in range(3):
        slack.post(C, at(0, minute), f"Question {minute}?")
        slack.post(C, at(0, 30 + minute), "Answer.", thread_ts=at(0, minute))
    slack.most = 15
    slack.budget = {"conversations.history": 1, "conversations.replies": 1}
    cursor: Mapping[str, JSON] | None = None
    revisions: dict[str, str | None] = {}
    read: dict[str, str] = {}
    unreadable: dict[str, str] = {}
    minutes = 0
    while minutes < 20:
        # As the engine does: what is known by its revision is not read again; the cursor moves with whole pages.
        try:
            with closing(source(slack)) as opened:
                for page in opened.pages(cursor):
                    for entry in page.entries:
                        if revisions.get(entry.external_id) != entry.revision:
                            try:
                                read[entry.external_id] = opened.read(entry).body.decode()
                            except ItemUnreadable as error:
                                unreadable[entry.external_id] = error.message
                            revisions[entry.external_id] = entry.revision
                    cursor = page.cursor
            break
        except RateLimited:
            minutes += 1
            slack.budget = {"conversations.history": 1, "conversations.replies": 1}
    assert minutes < 8
    assert set(read) == {f"{C}:thread:{at(0, minute)}" for minute in range(3)} | {
        f"{C}:day:{day(n)}" for n in (2, 3)
    }
    # Forty messages never come within one minute; the reason is told, and nothing else waits for them.
    assert list(unreadable) == [f"{C}:day:{day(1)}"]
    assert "15 messages a minute" in unreadable[f"{C}:day:{day(1)}"]
    slack.budget = {"conversations.history": 1}
    entry = Entry(f"{C}:day:{day(1)}", "", None, None, {"channel": C, "day": day(1)})
    with closing(source(slack)) as opened, pytest.raises(ItemUnreadable, match="more than 15 messages"):
        opened.read(entry)
    slack.most, slack.budget = 1000, {}
    with closing(source(slack)) as opened:
        assert b"Message 39." in opened.read(entry).body


@pytest.mark.parametrize("method", ["conversations.list", "conversations.history", "users.list"])
def test_a_missing_scope_is_named(method: str, slack: Workspace) -> None:
    slack.faults[method] = [refusal("missing_scope", needed="users:read", provided="channels:read")]
    with pytest.raises(ProviderRefused, match="users:read"):
        read_all(slack)


def test_words_of_slack_are_not_repeated(slack: Workspace) -> None:
    slack.faults["conversations.list"] = [refusal("<script>", needed="<script>")]
    with pytest.raises(ProviderRefused) as raised:
        walk(slack)
    assert "script" not in raised.value.message


@pytest.mark.parametrize("error", ["not_in_channel", "channel_not_found"])
def test_a_channel_that_cannot_be_read_does_not_stop_the_others(error: str, slack: Workspace) -> None:
    slack.add_channel("C20", "leads")
    slack.post("C20", at(5), "Still here.")
    slack.faults["conversations.history"] = [refusal(error)]
    pages = walk(slack)
    (failed,) = [page for page in pages if page.failures]
    assert [(f.external_id, f.stage) for f in failed.failures] == [(C, "list")]
    assert failed.failures[0].url == "https://harbour-works.slack.com/archives/C1"
    assert ids(pages) == {f"C20:day:{day(5)}"}
    # The next pass lists it whole.
    assert f"{C}:day:{day(3)}" in ids(walk(slack, pages[-1].cursor))


def test_a_chosen_channel_the_app_is_not_in_says_so(slack: Workspace) -> None:
    slack.add_channel("C20", "leads", is_member=False)
    pages = walk(slack, channels=["C20", "C0404"])
    reasons = {failure.external_id: failure.reason for page in pages for failure in page.failures}
    assert set(reasons) == {"C20", "C0404"}
    assert "invite it" in reasons["C20"]


def test_without_files_scope_everything_else_is_synced(slack: Workspace) -> None:
    slack.share(C, "F1", "plan.txt", b"Text.", at(1))
    slack.scopes = "channels:history,channels:read,users:read"
    pages = walk(slack)
    assert not [failure for page in pages for failure in page.failures]
    assert "file:F1" not in ids(pages)
    assert len(ids(pages)) == 3
    slack.scopes = ""
    slack.faults["files.list"] = [refusal("missing_scope", needed="files:read")]
    (failure,) = [failure for page in walk(slack) for failure in page.failures]
    assert "files:read" in failure.reason


def test_all_pages_of_channels_are_listed(slack: Workspace) -> None:
    slack.channels_per_page = 50
    for number in range(120):
        slack.add_channel(f"C1X{number:03}", f"channel-{number}")
    slack.post("C1X119", at(2), "In the last one.")
    with closing(source(slack, include_files=False)) as opened:
        assert f"C1X119:day:{day(2)}" in {e.external_id for page in opened.pages(None) for e in page.entries}


@pytest.mark.parametrize(
    ("gone", "error"),
    [
        (refusal("thread_not_found"), ItemGone),
        (refusal("channel_not_found"), ItemGone),
        (refusal("not_in_channel"), ItemUnreadable),
        (json_reply({"ok": True, "messages": []}), ItemGone),
        (json_reply({"ok": True}), ProviderUnavailable),
        (refusal("token_revoked"), CredentialsRejected),
        (json_reply({}, 429), RateLimited),
    ],
)
def test_what_vanishes_between_listing_and_reading(
    gone: Reply, error: type[Exception], slack: Workspace
) -> None:
    slack.post(C, at(1), "Who?")
    slack.post(C, at(1, 1), "Me.", thread_ts=at(1))
    with closing(source(slack)) as opened:
        listed = [entry for page in opened.pages(None) for entry in page.entries]
        (entry,) = [entry for entry in listed if ":thread:" in entry.external_id]
        slack.faults["conversations.replies"] = [gone]
        with pytest.raises(error):
            opened.read(entry)


def test_a_long_thread_is_read_whole(slack: Workspace) -> None:
    slack.post(C, at(4), "Long?")
    for minute in range(1, 61):
        slack.post(C, at(4, minute), f"Reply {minute}.", thread_ts=at(4))
    slack.most = 25
    text = read_all(slack)[f"{C}:thread:{at(4)}"]
    assert [line for line in text.splitlines() if line.startswith("Reply")] == [
        f"Reply {n}." for n in range(1, 61)
    ]
    assert text.count("Long?") == 2  # title and first message


def test_a_day_is_read_from_its_locator_in_pages(slack: Workspace) -> None:
    for minute in range(60):
        slack.post(C, at(4, minute), f"Message {minute}.")
    slack.most = 25
    entry = Entry(f"{C}:day:{day(4)}", "", None, None, {"channel": C, "day": day(4)})
    with closing(source(slack)) as opened:
        text = opened.read(entry).body.decode()
    assert [line for line in text.splitlines() if line.startswith("Message ")] == [
        f"Messages in #engineering on {day(4)} (UTC)." if n < 0 else f"Message {n}." for n in range(60)
    ]


def test_people_are_asked_for_once_and_strangers_singly(
    slack: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people, "PER_REQUEST", 1)
    monkeypatch.setattr(people, "LISTED_PAGES", 2)
    slack.users += [
        {"id": f"U{n}", "name": f"user{n}", "profile": {"display_name": f"User {n}"}} for n in range(2, 6)
    ]
    for n in range(1, 6):
        slack.post(C, at(1, n), f"Asks <@U{n}> and <@U404>.", user=f"U{n}")
    with scripted_server(slack) as running:
        slack.base_url = running.base_url
        text = read_all(slack)[f"{C}:day:{day(1)}"]
        called = [path.removeprefix("/api/") for path in running.paths()]
    assert [f"**{name}**" in text for name in ("Ada", "User 2", "User 5")] == [True] * 3
    assert "Asks @User 5 and @U404." in text
    assert (called.count("users.list"), called.count("users.info")) == (2, 4)


def test_a_limit_on_the_list_of_people_stops_nothing(slack: Workspace) -> None:
    slack.faults["users.list"] = [json_reply({}, 429)]
    assert "**Ada**" in read_all(slack)[f"{C}:day:{day(3)}"]


def test_files_are_read_where_slack_keeps_them_only(slack: Workspace) -> None:
    elsewhere: list[Request] = []

    def answer(request: Request) -> Reply:
        elsewhere.append(request)
        return Reply(200, b"stolen")

    with scripted_server(answer) as other:
        slack.share(C, "F1", "ok.txt", b"Good.", at(9))
        slack.share(C, "F2", "away.txt", b"", at(8), url_private=f"{other.base_url}/files-pri/F2")
        slack.share(C, "F3", "userinfo.txt", b"", at(7), url_private="https://files.slack.com@127.0.0.1/x")
        slack.share(C, "F4", "redirect.txt", b"", at(6))
        slack.share(C, "F5", "login.txt", b"", at(5))
        slack.share(C, "F6", "large.txt", b"", at(4), size=65 * 1024 * 1024)
        slack.share(C, "F7", "old.txt", b"", at(4), mode="hidden_by_limit")
        slack.share(C, "F8", "picture.png", b"", at(4), mimetype="image/png")
        slack.share(C, "F9", "drive", b"", at(4), mode="external", is_external=True)
        slack.faults["/files-pri/T1-F4/redirect.txt"] = [
            Reply(302, b"", {"location": f"{other.base_url}/?redir=1"})
        ]
        slack.faults["/files-pri/T1-F5/login.txt"] = [
            Reply(200, b"<html>", {"content-type": "text/html; charset=utf-8"})
        ]
        read, unreadable = {}, {}
        with closing(source(slack)) as opened:
            for entry in [entry for page in opened.pages(None) for entry in page.entries]:
                try:
                    read[entry.external_id] = opened.read(entry)
                except ItemUnreadable as error:
                    unreadable[entry.external_id] = error.message
    assert not elsewhere
    assert {external_id for external_id in read if external_id.startswith("file:")} == {"file:F1"}
    assert read["file:F1"].body == b"Good."
    assert set(unreadable) == {f"file:F{n}" for n in (2, 3, 4, 5, 6, 7)}
    assert "files:read" in unreadable["file:F4"]
    assert "files:read" in unreadable["file:F5"]
    assert "64 MiB" in unreadable["file:F6"]
    assert "plan" in unreadable["file:F7"]


def test_a_deleted_file_is_gone(slack: Workspace) -> None:
    slack.share(C, "F1", "plan.txt", b"Text.", at(1))
    pages = walk(slack)
    (entry,) = [entry for page in pages for entry in page.entries if entry.external_id == "file:F1"]
    raw = slack.files["F1"][0]
    raw.update(mode="tombstone")
    slack.find(C, at(1))["files"] = [{"id": "F1", "mode": "tombstone"}]
    changes = walk(slack, pages[-1].cursor)
    assert "file:F1" in {external_id for page in changes for external_id in page.gone}
    with closing(source(slack)) as opened, pytest.raises(ItemGone):
        opened.read(Entry(entry.external_id, "", None, None, entry.locator))


@pytest.mark.parametrize("cursor", [{}, {"version": 0}, {"version": 1, "known": 3}])
def test_a_cursor_of_another_shape_begins_anew(cursor: Mapping[str, JSON], slack: Workspace) -> None:
    with pytest.raises(CursorExpired):
        walk(slack, cursor)


def test_no_token_is_ever_logged(slack: Workspace, caplog: pytest.LogCaptureFixture) -> None:
    slack.faults["conversations.history"] = [json_reply({}, 502), refusal("invalid_auth")]
    with (
        caplog.at_level(logging.DEBUG),
        closing(source(slack)) as opened,
        pytest.raises(CredentialsRejected) as raised,
    ):
        list(opened.pages(None))
    assert TOKEN not in caplog.text
    assert TOKEN not in repr(raised.value)
    assert TOKEN not in repr(opened)


def source(slack: Workspace, **settings: Any) -> Any:
    """A source of the workspace."""
    credentials = Credentials(TOKEN, None, None, (), "bot")
    return open_with(PROVIDER, settings, credentials, api_base=slack.base_url)


def walk(slack: Workspace, cursor: Mapping[str, JSON] | None = None, **settings: Any) -> list[Page]:
    """All pages of one pass."""
    with closing(source(slack, **settings)) as opened:
        return list(opened.pages(cursor))


def ids(pages: list[Page]) -> set[str]:
    """External ids of what was listed."""
    return {entry.external_id for page in pages for entry in page.entries}


def read_all(slack: Workspace) -> dict[str, str]:
    """The text of everything a full pass lists."""
    with closing(source(slack)) as opened:
        return {
            entry.external_id: opened.read(entry).body.decode()
            for page in opened.pages(None)
            for entry in page.entries
        }
