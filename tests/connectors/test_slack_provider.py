"""Passes over the emulated Slack: a whole one, ones that go on elsewhere, and what a pass of changes sees."""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

import pytest

from backend.connectors.providers.contract import (
    JSON,
    Credentials,
    Entry,
    Opening,
    Page,
    ProviderRefused,
    SourceItem,
)
from backend.connectors.providers.provider import open_with
from backend.connectors.providers.slack import PROVIDER
from backend.connectors.providers.slack.channels import list_choices
from backend.connectors.providers.slack.oauth import DEFAULT_SCOPES
from tests.emulators.slack import BOT_TOKEN, POOR_TOKEN, SlackEmulator, slack_emulator

#: More than one request lists.
MESSAGES = 260
CHANNELS = {"engineering": False, "leads": True, "elsewhere": False}


@pytest.fixture(scope="module")
def slack() -> Iterator[SlackEmulator]:
    """A workspace of several hundred messages that no test of this file changes."""
    with slack_emulator(channels=CHANNELS) as emulator:
        engineering, leads = emulator.channel("engineering"), emulator.channel("leads")
        emulator.invite(engineering)
        emulator.invite(leads)
        people = ("octocat", "hubot")
        for number in range(MESSAGES):
            emulator.post(
                engineering, f"Pool {number} is drained at {number * 7 % 101} percent.", people[number % 2]
            )
        for number in range(12):
            parent = emulator.post(engineering, f"Who changed limit {number}?")
            for reply in range(3):
                emulator.post(
                    engineering, f"Answer {reply} on {number}.", people[reply % 2], thread_ts=parent
                )
        emulator.post(leads, "The budget is decided on Friday.")
        emulator.share(leads, "plan.txt", b"The plan has three steps.")
        emulator.post(emulator.channel("elsewhere"), "Nobody invited the app.")
        yield emulator


def test_pages_cover_channels_the_app_is_in(slack: SlackEmulator) -> None:
    pages, items = read(slack)
    engineering, leads = slack.channel("engineering"), slack.channel("leads")
    kinds = sorted((item.metadata["channel"], item.kind) for item in items.values())
    days = [item for item in items.values() if item.kind == "day"]
    # A test that runs at midnight sees two days.
    assert set(kinds) == {
        ("engineering", "thread"),
        ("engineering", "day"),
        ("leads", "day"),
        ("leads", "file"),
    }
    assert kinds.count(("engineering", "thread")) == 12
    text = "\n".join(day.body.decode() for day in days if day.metadata["channel_id"] == engineering)
    for number in range(MESSAGES):
        assert text.count(f"Pool {number} is drained at {number * 7 % 101} percent.") == 1
    assert text.index("Pool 0 ") < text.index("Pool 1 ") < text.index(f"Pool {MESSAGES - 1} ")
    assert "Who changed limit" not in text
    (plan,) = [item for item in items.values() if item.kind == "file"]
    assert (plan.body, plan.file_name, plan.metadata["channel"]) == (
        b"The plan has three steps.",
        "plan.txt",
        "leads",
    )
    assert all(page.is_full and not page.failures for page in pages)
    assert [page.note for page in pages].count("#engineering") >= 3
    assert leads in pages[-1].cursor["known"]  # type: ignore[operator]


def test_threads_carry_the_conversation(slack: SlackEmulator) -> None:
    _, items = read(slack)
    thread = next(item for item in items.values() if item.title.endswith("Who changed limit 7?"))
    text = thread.body.decode()
    assert text.startswith("# #engineering: Who changed limit 7?\n")
    assert [line for line in text.splitlines() if line.startswith("Answer")] == [
        f"Answer {n} on 7." for n in range(3)
    ]
    assert text.count("**HUBOT**, [") == 1
    assert thread.metadata["participants"] == ["OCTOCAT", "HUBOT"]
    assert (thread.author, thread.mime_type, thread.metadata["message_count"]) == (
        "octocat",
        "text/markdown",
        4,
    )
    ts = str(thread.metadata["thread_ts"])
    assert (
        thread.url
        == f"https://harbour-works.slack.com/archives/{slack.channel('engineering')}/p{ts.replace('.', '')}"
    )
    assert f"?thread_ts={ts}&cid=" in text
    assert thread.created_at is not None
    assert thread.created_at.tzinfo is not None


def test_pages_go_on_after_any_cursor_in_another_process(slack: SlackEmulator) -> None:
    pages, _ = read(slack)
    assert len(pages) > 6
    for position, page in enumerate(pages[:-1]):
        stored = json.loads(json.dumps(page.cursor))
        assert len(json.dumps(stored)) < 2000
        rest, _ = read(slack, cursor=stored, read_items=False)
        expected = [entry for later in pages[position + 1 :] for entry in later.entries]
        assert [entry for later in rest for entry in later.entries] == expected, page.note
        assert all(later.is_full for later in rest)
        assert rest[-1].cursor == pages[-1].cursor


def test_items_are_read_from_a_stored_locator_alone(slack: SlackEmulator) -> None:
    pages, items = read(slack)
    with closing(source(slack)) as another:
        for entry in [entry for page in pages for entry in page.entries][-8:]:
            locator = json.loads(json.dumps(entry.locator))
            again = another.read(Entry(entry.external_id, entry.external_id, None, None, locator))
            assert again.body == items[entry.external_id].body
            assert again.metadata == items[entry.external_id].metadata


def test_pages_cover_chosen_channels_only(slack: SlackEmulator) -> None:
    leads = slack.channel("leads")
    _, items = read(slack, {"channels": [leads], "include_files": False})
    assert {(item.metadata["channel"], item.kind) for item in items.values()} == {("leads", "day")}
    pages, items = read(slack, {"channels": []})
    assert not items
    assert pages[-1].cursor["known"] == {}


def test_choices_list_every_channel(slack: SlackEmulator) -> None:
    choices = {choice.name: choice for choice in list_choices(opening(slack, {"channels": None}))}
    assert {"engineering", "leads", "elsewhere", "general"} <= set(choices)
    assert {name for name, choice in choices.items() if choice.is_chosen} == {"engineering", "leads"}
    assert choices["leads"].details == {"is_private": True, "is_member": True, "num_members": 4}
    chosen = list_choices(opening(slack, {"channels": [slack.channel("elsewhere")]}))
    assert {choice.name for choice in chosen if choice.is_chosen} == {"elsewhere"}


def test_a_missing_scope_is_named(slack: SlackEmulator) -> None:
    with pytest.raises(ProviderRefused, match="channels:history"):
        read(slack, {"channels": [slack.channel("engineering")]}, token=POOR_TOKEN)


def test_next_pass_sees_what_changed() -> None:
    with slack_emulator(channels={"engineering": False, "late": False}) as slack:
        channel = slack.channel("engineering")
        slack.invite(channel)
        edited = slack.post(channel, "The gateway listens on port 7443.")
        deleted = slack.post(channel, "Never mind.")
        parent = slack.post(channel, "Which port is it?")
        slack.post(channel, "It is 7443.", "hubot", thread_ts=parent)
        pages, before = read(slack)
        day = next(item for item in before.values() if item.kind == "day")

        slack.edit(channel, edited, "The gateway listens on port 8443.")
        slack.delete(channel, deleted)
        slack.post(channel, "It was 7443.", thread_ts=parent)
        slack.invite(slack.channel("late"))
        slack.post(slack.channel("late"), "The app is here now.")
        changes, after = read(slack, cursor=pages[-1].cursor)
        assert not any(page.is_full for page in changes)
        text = after[day.external_id].body.decode()
        assert "8443" in text
        assert "(edited)" in text
        assert "Never mind" not in text
        assert "It was 7443." in after[f"{channel}:thread:{parent}"].body.decode()
        assert any("The app is here now." in item.body.decode() for item in after.values())
        revisions = {entry.external_id: entry.revision for page in pages for entry in page.entries}
        assert revisions[day.external_id] != next(
            entry.revision
            for page in changes
            for entry in page.entries
            if entry.external_id == day.external_id
        )

        slack.delete(channel, parent)
        slack.delete(channel, edited)
        last, left = read(slack, cursor=changes[-1].cursor)
        assert day.external_id not in left
        assert day.external_id in {gone for page in last for gone in page.gone}


def opening(slack: SlackEmulator, settings: Mapping[str, Any], token: str = BOT_TOKEN) -> Opening:
    """What the emulator's workspace is opened with."""
    scopes = DEFAULT_SCOPES if token == BOT_TOKEN else ()
    return Opening(settings, Credentials(token, None, None, scopes, "bot"), slack.base_url)


def source(slack: SlackEmulator, settings: Mapping[str, Any] | None = None, token: str = BOT_TOKEN) -> Any:
    """A source, made as the engine makes it."""
    return open_with(PROVIDER, settings or {}, opening(slack, {}, token).credentials, api_base=slack.base_url)


def read(
    slack: SlackEmulator,
    settings: Mapping[str, Any] | None = None,
    *,
    cursor: Mapping[str, JSON] | None = None,
    token: str = BOT_TOKEN,
    read_items: bool = True,
) -> tuple[list[Page], dict[str, SourceItem]]:
    """All pages of a source made for this one pass, and what they list, read."""
    with closing(source(slack, settings, token)) as opened:
        pages = list(opened.pages(cursor))
        entries = [entry for page in pages for entry in page.entries]
        items = {entry.external_id: opened.read(entry) for entry in entries} if read_items else {}
    return pages, items
