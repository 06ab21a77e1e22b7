"""What passes of changes see, against a workspace written from Slack's published description of its API."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

import pytest
import stamina

from backend.connectors.providers.contract import JSON, Credentials, Entry, ItemGone, Page, SourceItem
from backend.connectors.providers.provider import open_with
from backend.connectors.providers.slack import PROVIDER, walk
from tests.emulators.scripted import scripted_server
from tests.emulators.slack_workspace import TOKEN, Workspace, at, day

C = "C1"


@pytest.fixture
def slack() -> Iterator[Workspace]:
    workspace = Workspace(users=[{"id": "U1", "name": "ada", "profile": {"display_name": "Ada"}}])
    workspace.add_channel(C, "engineering")
    with scripted_server(workspace) as running, stamina.set_testing(True, attempts=2, cap=True):
        workspace.base_url = running.base_url
        yield workspace


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few messages a request, so that few messages make many pages."""
    monkeypatch.setattr(walk, "MESSAGES_PER_REQUEST", 4)


def test_a_day_is_one_document_and_a_thread_another(slack: Workspace) -> None:
    slack.post(C, at(3), "The release is at noon.")
    slack.post(C, at(3, 5), "It went well.")
    slack.post(C, at(2), "Next one on Monday.")
    slack.post(C, at(3, 10), "Who is on call?")
    slack.post(C, at(2, 30), "Ada is.", thread_ts=at(3, 10))
    slack.post(C, at(3, 1), "joined", subtype="channel_join")
    items = read(slack)
    assert set(items) == {day_id(3), day_id(2), thread_id(at(3, 10))}
    text = items[day_id(3)].body.decode()
    assert text.startswith(f"# #engineering, {day(3)}\n")
    assert text.index("The release is at noon.") < text.index("It went well.")
    assert "on call" not in text
    assert "joined" not in text
    assert items[day_id(3)].url == f"https://harbour-works.slack.com/archives/C1/p{at(3).replace('.', '')}"
    assert items[day_id(3)].metadata["message_count"] == 2


def test_what_has_not_changed_keeps_its_revision(slack: Workspace) -> None:
    slack.post(C, at(20), "Old.")
    slack.post(C, at(5), "Settled question?")
    slack.post(C, at(4), "Yes.", thread_ts=at(5))
    slack.post(C, at(1), "Recent question?")
    slack.post(C, at(1, 1), "Yes.", thread_ts=at(1))
    slack.post(C, at(1, 9), "Recent.")
    pages = walk_all(slack)
    first = revisions(pages)
    second_pages = walk_all(slack, pages[-1].cursor)
    second = revisions(second_pages)
    assert second == revisions(walk_all(slack, second_pages[0].cursor, skip_first=False)), (
        "one pass, one revision"
    )
    # An edited reply shows nowhere but in the thread: what is alive is read in every pass.
    changed = {external_id for external_id in second if first[external_id] != second[external_id]}
    assert changed == {thread_id(at(1))}
    assert set(second) == {day_id(1), thread_id(at(5)), thread_id(at(1)), day_id(20)}


@pytest.mark.parametrize("change", ["edit", "delete", "post", "preview"])
def test_a_day_changes_with_its_messages(change: str, slack: Workspace) -> None:
    slack.post(C, at(3), "The port is 7443.")
    slack.post(C, at(3, 1), "Never mind.")
    slack.post(C, at(2), "Unrelated.")
    pages = walk_all(slack)
    if change == "edit":
        slack.edit(C, at(3), "The port is 8443.")
    elif change == "delete":
        slack.delete(C, at(3, 1))
    elif change == "post":
        slack.post(C, at(3, 2), "One more.")
    else:
        slack.find(C, at(3))["attachments"] = [{"title": "Ports", "text": "A list."}]
    before, after = revisions(pages), revisions(walk_all(slack, pages[-1].cursor))
    assert after[day_id(3)] != before[day_id(3)]
    assert after[day_id(2)] == before[day_id(2)]


def test_a_day_without_messages_is_gone(slack: Workspace) -> None:
    for days_ago in (5, 4, 3):
        slack.post(C, at(days_ago), f"Said {days_ago} days ago.")
    pages = walk_all(slack)
    slack.delete(C, at(4))
    slack.delete(C, at(3))
    changes = walk_all(slack, pages[-1].cursor)
    gone = {external_id for page in changes for external_id in page.gone}
    assert {day_id(4), day_id(3)} <= gone
    assert day_id(5) not in gone
    assert set(revisions(changes)) == {day_id(5)}
    # A pass over everything is for telling that by itself.
    assert not {external_id for page in walk_all(slack) for external_id in page.gone}


def test_a_message_that_becomes_a_thread_leaves_its_day(slack: Workspace) -> None:
    slack.post(C, at(2), "Who has the keys?")
    pages = walk_all(slack)
    assert set(revisions(pages)) == {day_id(2)}
    slack.post(C, at(1), "I do.", thread_ts=at(2))
    changes = walk_all(slack, pages[-1].cursor)
    assert set(revisions(changes)) == {thread_id(at(2))}
    assert day_id(2) in {external_id for page in changes for external_id in page.gone}


def test_a_thread_without_its_first_message_is_gone(slack: Workspace) -> None:
    slack.post(C, at(2), "Who has the keys?")
    slack.post(C, at(1), "I do.", thread_ts=at(2))
    pages = walk_all(slack)
    (entry,) = [entry for page in pages for entry in page.entries]
    slack.delete(C, at(2))
    changes = walk_all(slack, pages[-1].cursor)
    assert thread_id(at(2)) in {external_id for page in changes for external_id in page.gone}
    assert not revisions(changes)
    with closing(source(slack)) as opened, pytest.raises(ItemGone):
        opened.read(entry)


def test_deleted_replies_leave_the_thread(slack: Workspace) -> None:
    slack.post(C, at(9), "Which port?")
    slack.post(C, at(9, 1), "7443.", thread_ts=at(9))
    slack.post(C, at(9, 2), "Nonsense.", thread_ts=at(9))
    pages = walk_all(slack)
    slack.delete(C, at(9, 2))
    changes = walk_all(slack, pages[-1].cursor)
    assert revisions(changes)[thread_id(at(9))] != revisions(pages)[thread_id(at(9))]
    assert "Nonsense" not in read(slack)[thread_id(at(9))].body.decode()


@pytest.mark.usefixtures("small_pages")
def test_a_reply_to_an_old_thread_is_found_within_some_passes(slack: Workspace) -> None:
    for days_ago in range(60, 0, -1):
        slack.post(C, at(days_ago), f"Said {days_ago} days ago.")
    slack.post(C, at(41, 1), "How long do we keep backups?")
    slack.post(C, at(41, 2), "A month.", thread_ts=at(41, 1))
    pages = walk_all(slack)
    old = revisions(pages)[thread_id(at(41, 1))]
    slack.post(C, at(0, 5), "Five weeks now.", thread_ts=at(41, 1))
    slack.edit(C, at(50), "Said fifty days ago.")
    with closing(source(slack)) as opened:
        cursor, seen, passes = pages[-1].cursor, dict[str, str | None](), 0
        while thread_id(at(41, 1)) not in seen or day_id(50) not in seen:
            changes = list(opened.pages(cursor))
            # Recent days, and one request's worth of older ones.
            assert len([entry for page in changes for entry in page.entries]) <= 8 + 5
            cursor, passes = changes[-1].cursor, passes + 1
            seen.update(revisions(changes))
            assert passes < 20
        assert passes > 5
        assert seen[thread_id(at(41, 1))] != old
        assert seen[day_id(50)] != revisions(pages)[day_id(50)]
        # Through to the beginning, and then from the top again.
        while day_id(60) not in seen:
            changes = list(opened.pages(cursor))
            cursor = changes[-1].cursor
            seen.update(revisions(changes))
        again = revisions(list(opened.pages(cursor)))
        assert day_id(9) in again
    # Whole days only: what has not changed has the revision that the full pass gave it.
    unchanged = {
        external_id: revision
        for external_id, revision in seen.items()
        if external_id not in (day_id(50), thread_id(at(41, 1)))
    }
    assert unchanged == {external_id: revisions(pages)[external_id] for external_id in unchanged}


def test_a_reply_shown_in_the_channel_brings_its_old_thread(slack: Workspace) -> None:
    slack.post(C, at(90), "How long do we keep backups?")
    slack.post(C, at(90, 1), "A month.", thread_ts=at(90))
    for minute in range(300):
        slack.post(C, at(50, minute), "Talk.")
    slack.post(C, at(1), "Today.")
    pages = walk_all(slack)
    slack.post(C, at(0, 5), "Five weeks.", thread_ts=at(90), subtype="thread_broadcast")
    changes = walk_all(slack, pages[-1].cursor)
    assert thread_id(at(90)) in {entry.external_id for page in changes for entry in page.entries}
    assert "Five weeks." in read(slack, pages[-1].cursor)[thread_id(at(90))].body.decode()


def test_what_is_said_during_a_pass_is_seen_by_the_next(slack: Workspace, small_pages: None) -> None:
    for minute in range(10):
        slack.post(C, at(12, minute), f"Message {minute}.")
    with closing(source(slack)) as opened:
        walking = opened.pages(None)
        pages = [next(walking), next(walking)]
        slack.post(C, at(0, 9), "While you were listing.")
        slack.edit(C, at(12, 9), "Edited after it was listed.")
        pages += walking
    assert len(pages) > 4
    assert set(revisions(pages)) == {day_id(12)}
    after = read(slack, pages[-1].cursor)
    assert "While you were listing." in after[day_id(0)].body.decode()
    assert "Edited after" in after[day_id(12)].body.decode()


@pytest.mark.usefixtures("small_pages")
def test_pages_go_on_after_any_cursor_even_amid_a_day(slack: Workspace) -> None:
    for days_ago in (30, 3):
        for minute in range(6):
            slack.post(C, at(days_ago, minute), f"Message {minute}.")
    slack.add_channel("C2", "leads", is_private=True)
    slack.post("C2", at(4), "Quiet.")
    first = walk_all(slack)
    for since in (None, first[-1].cursor):
        pages = walk_all(slack, since)
        assert len(pages) > 6
        for position, page in enumerate(pages[:-1]):
            rest = walk_all(slack, page.cursor, skip_first=False)
            expected = [entry for later in pages[position + 1 :] for entry in later.entries]
            assert [entry for later in rest for entry in later.entries] == expected
            assert rest[-1].cursor == pages[-1].cursor
            gone = {external_id for later in pages[position + 1 :] for external_id in later.gone}
            assert {external_id for later in rest for external_id in later.gone} == gone


def test_a_cursor_that_slack_no_longer_knows_is_no_obstacle(slack: Workspace, small_pages: None) -> None:
    for minute in range(10):
        slack.post(C, at(3, minute), f"Message {minute}.")
    pages = walk_all(slack)
    # Slack's cursor after the first four names the fifth.
    slack.delete(C, at(3, 5))
    rest = walk_all(slack, pages[1].cursor, skip_first=False)
    (entry,) = [entry for page in rest for entry in page.entries]
    with closing(source(slack)) as opened:
        text = opened.read(entry).body.decode()
    assert [f"Message {minute}." in text for minute in range(10)] == [minute != 5 for minute in range(10)]


def test_history_days_bound_what_is_listed(slack: Workspace) -> None:
    for days_ago in (40, 10, 1):
        slack.post(C, at(days_ago), "Said.")
        slack.share(C, f"F{days_ago}", f"{days_ago}.txt", b"Text.", at(days_ago, 2))
    pages = walk_all(slack, history_days=30)
    assert set(revisions(pages)) == {day_id(10), day_id(1), "file:F10", "file:F1"}


def test_messages_of_apps_are_synced_when_wished_and_in_threads(slack: Workspace) -> None:
    slack.post(C, at(3), "Build 812 failed.", user="", bot_id="B1", subtype="bot_message", username="Builds")
    slack.post(C, at(2), "Build 813 failed.", user="", bot_id="B1", subtype="bot_message", username="Builds")
    slack.post(C, at(2, 1), "On it.", thread_ts=at(2))
    assert set(read(slack)) == {thread_id(at(2))}
    items = read(slack, include_bots=True)
    assert set(items) == {thread_id(at(2)), day_id(3)}
    assert "**Builds**, [" in items[day_id(3)].body.decode()


def test_channels_that_come_and_go(slack: Workspace) -> None:
    slack.post(C, at(30), "First.")
    pages = walk_all(slack)
    slack.add_channel("C2", "late")
    slack.post("C2", at(300), "Long ago.")
    changes = walk_all(slack, pages[-1].cursor)
    assert f"C2:day:{day(300)}" in revisions(changes)
    slack.channels[1]["is_member"] = False
    left = walk_all(slack, changes[-1].cursor)
    assert set(left[-1].cursor["known"]) == {C}  # type: ignore[arg-type]


def test_group_messages_are_left_out_unless_wished(slack: Workspace) -> None:
    slack.add_channel("G1", "mpdm-ada--bob-1", is_private=True, is_mpim=True)
    slack.post("G1", at(2), "Between us.")
    assert not read(slack)
    assert set(read(slack, include_group_messages=True)) == {f"G1:day:{day(2)}"}


def day_id(days_ago: int) -> str:
    """External id of a day in the first channel."""
    return f"{C}:day:{day(days_ago)}"


def thread_id(ts: str) -> str:
    """External id of a thread in the first channel."""
    return f"{C}:thread:{ts}"


def source(slack: Workspace, **settings: Any) -> Any:
    """A source of the workspace."""
    credentials = Credentials(TOKEN, None, None, (), "bot")
    return open_with(PROVIDER, settings, credentials, api_base=slack.base_url)


def walk_all(
    slack: Workspace, cursor: Mapping[str, JSON] | None = None, *, skip_first: bool = True, **settings: Any
) -> list[Page]:
    """All pages of one pass; the first one of a new pass only says that it has begun."""
    with closing(source(slack, **settings)) as opened:
        pages = list(opened.pages(cursor))
    assert not skip_first or not pages[0].entries
    assert not [failure for page in pages for failure in page.failures]
    return pages


def revisions(pages: list[Page]) -> dict[str, str | None]:
    """Revisions of what was listed, by external id."""
    entries: list[Entry] = [entry for page in pages for entry in page.entries]
    assert len({entry.external_id for entry in entries}) == len(entries)
    return {entry.external_id: entry.revision for entry in entries}


def read(
    slack: Workspace, cursor: Mapping[str, JSON] | None = None, **settings: Any
) -> dict[str, SourceItem]:
    """What one pass lists, read."""
    with closing(source(slack, **settings)) as opened:
        return {
            entry.external_id: opened.read(entry) for page in opened.pages(cursor) for entry in page.entries
        }
