"""Gmail against the emulator: a mailbox of several hundred messages, its history, and faults in between."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
import stamina

from backend.connectors.providers.contract import (
    CredentialsRejected,
    Entry,
    ItemGone,
    Opening,
    Page,
    RateLimited,
    SourceItem,
)
from backend.connectors.providers.gmail import PROVIDER
from backend.connectors.providers.gmail.choices import list_choices
from backend.connectors.providers.gmail.source import THREADS_PER_PAGE
from backend.connectors.providers.provider import open_with
from tests.connectors.walking import credentials, entries_of, ids_of
from tests.emulators.google import GoogleEmulator, google_emulator
from tests.emulators.google_seed import COLLEAGUE, LABEL_ON_CALL, USER, Mail, mail_seed, thread_sentence
from tests.emulators.scripted import Reply, json_reply

THREADS = 110


@pytest.fixture(scope="module")
def google() -> Iterator[GoogleEmulator]:
    with google_emulator(mail_seed(THREADS)) as emulator, stamina.set_testing(True, attempts=4, cap=True):
        yield emulator


@pytest.fixture(scope="module")
def whole(google: GoogleEmulator) -> list[Page]:
    """The pages of a full pass."""
    return walk(google)


@pytest.fixture(scope="module")
def busy() -> Iterator[GoogleEmulator]:
    """A mailbox in which things happen."""
    with google_emulator(mail_seed(45)) as emulator:
        yield emulator


def test_full_pass_shows_every_thread_and_attachment_once(whole: list[Page]) -> None:
    pages = whole
    expected = {f"thread:t{n}" for n in range(THREADS)}
    expected |= {f"attachment:t{n}:m{n}b:0" for n in range(0, THREADS, 10)}
    assert sorted(ids_of(pages)) == sorted(expected)
    assert all(page.is_full for page in pages)
    assert max(len(page.entries) for page in pages) <= THREADS_PER_PAGE * 2
    assert not any(page.failures or page.gone for page in pages)


def test_pass_goes_on_from_every_cursor_with_exactly_the_rest(
    google: GoogleEmulator, whole: list[Page]
) -> None:
    pages = whole
    for number, page in enumerate(pages[:-1]):
        assert ids_of(walk(google, page.cursor)) == ids_of(pages[number + 1 :])
    assert ids_of(walk(google, pages[-1].cursor)) == []


def test_thread_is_one_document_with_its_participants_and_dates(
    google: GoogleEmulator, whole: list[Page]
) -> None:
    entry = find(whole, "thread:t7")
    item = read(google, entry)
    text = item.body.decode()
    assert (item.title, item.kind, item.mime_type) == ("Release on Thursday 7", "thread", "text/markdown")
    assert item.author == USER
    assert item.created_at is not None
    assert item.created_at.isoformat() == "2026-01-05T16:00:00+00:00"
    assert item.updated_at is not None
    assert item.updated_at.isoformat() == "2026-01-05T16:30:00+00:00"
    assert item.metadata["labels"] == ["INBOX", "On call", "SENT"]
    assert item.metadata["participants"] == [USER, COLLEAGUE]
    assert item.metadata["recipients"] == [COLLEAGUE]
    assert text.startswith("# Release on Thursday 7\n")
    assert "## Ann Lee, 2026-01-05 16:00 UTC" in text
    assert "## Bob Ray, 2026-01-05 16:30 UTC" in text
    assert thread_sentence(7) in text
    # What Bob quotes is there already, said by Ann.
    assert text.count("what do we do about") == 1
    assert "wrote:" not in text


def test_read_needs_the_locator_alone(google: GoogleEmulator, whole: list[Page]) -> None:
    for external_id in ("thread:t10", "attachment:t10:m10b:0"):
        entry = find(whole, external_id)
        bare = Entry(entry.external_id, "", None, None, entry.locator)
        assert read(google, bare) == read(google, entry)


def test_attachment_is_a_document_of_its_own(google: GoogleEmulator, whole: list[Page]) -> None:
    item = read(google, find(whole, "attachment:t10:m10b:0"))
    assert item.body == b"Notes on Index on orders 10.\n"
    assert (item.title, item.file_name, item.kind, item.author) == (
        "notes.txt",
        "notes.txt",
        "attachment",
        COLLEAGUE,
    )
    assert item.metadata["subject"] == "Re: Index on orders 10"
    without = walk(google, settings={"attachments": False})
    assert not [each for each in ids_of(without) if each.startswith("attachment:")]


def test_labels_choose_threads(google: GoogleEmulator) -> None:
    on_call = {f"thread:t{n}" for n in range(0, THREADS, 7)}
    chosen = walk(google, settings={"include_labels": [LABEL_ON_CALL], "attachments": False})
    assert set(ids_of(chosen)) == on_call
    left_out = walk(google, settings={"exclude_labels": [LABEL_ON_CALL], "attachments": False})
    assert set(ids_of(left_out)) == {f"thread:t{n}" for n in range(THREADS)} - on_call
    two = walk(google, settings={"include_labels": [LABEL_ON_CALL, "SENT"], "attachments": False})
    assert set(ids_of(two)) == {f"thread:t{n}" for n in range(THREADS)}
    for number, page in list(enumerate(two[:-1]))[::5]:
        rest = walk(
            google, page.cursor, settings={"include_labels": [LABEL_ON_CALL, "SENT"], "attachments": False}
        )
        assert ids_of(rest) == ids_of(two[number + 1 :])


def test_choices_are_the_labels(google: GoogleEmulator) -> None:
    settings = {"include_labels": [LABEL_ON_CALL], "exclude_labels": []}
    choices = list_choices(Opening(settings, credentials(google.token(USER)), google.base_url))
    found = {choice.id: choice for choice in choices}
    assert found[LABEL_ON_CALL].name == "On call"
    assert found[LABEL_ON_CALL].is_chosen
    assert not found["INBOX"].is_chosen
    assert not {"SPAM", "TRASH", "DRAFT", "UNREAD"} & set(found)


def test_changes_are_the_threads_that_history_names(busy: GoogleEmulator) -> None:
    google = busy
    cursor = walk(google)[-1].cursor
    google.receive_mail(USER, new_mail("t3", "Ticket 3 is open again."))
    google.receive_mail(USER, new_mail("t_new", "A ticket nobody has seen.", attachments=True))
    google.label_thread(USER, "t5", add=("TRASH",))
    google.label_thread(USER, "t10", add=(LABEL_ON_CALL,))
    google.label_thread(USER, "t11", add=("UNREAD",))
    google.delete_thread(USER, "t20")
    google.delete_message(USER, "m30b")

    pages = walk(google, cursor)
    assert not any(page.is_full for page in pages)
    shown = {each for each in ids_of(pages) if each.startswith("thread:")}
    assert shown == {"thread:t3", "thread:t_new", "thread:t10", "thread:t30"}
    gone = {each for page in pages for each in page.gone}
    assert {"thread:t5", "thread:t20", "attachment:t20:m20b:0", "attachment:t30:m30b:0"} <= gone
    assert not gone & set(ids_of(pages))
    assert "Ticket 3 is open again." in read(google, find(pages, "thread:t3")).body.decode()
    assert read(google, find(pages, "thread:t10")).metadata["labels"] == ["INBOX", "On call", "SENT"]
    (attached,) = [e for e in entries_of(pages) if e.external_id.startswith("attachment:t_new")]
    assert read(google, attached).body == b"new notes\n"

    assert ids_of(walk(google, pages[-1].cursor)) == []
    google.label_thread(USER, "t5", remove=("TRASH",))
    assert ids_of(walk(google, pages[-1].cursor)) == ["thread:t5"]


def test_what_changes_during_a_full_pass_is_seen_by_the_next(busy: GoogleEmulator) -> None:
    google = busy
    with closing(source(google)) as walker:
        pages = walker.pages(None)
        seen = [next(pages)]
        google.receive_mail(USER, new_mail("t44", "Said while the mailbox was being read."))
        google.delete_thread(USER, "t0")
        seen += pages
        changes = walk(google, seen[-1].cursor)
        assert "thread:t44" in ids_of(changes)
        assert "thread:t0" in {each for page in changes for each in page.gone}


def test_what_vanishes_before_it_is_read_is_gone(busy: GoogleEmulator) -> None:
    pages = walk(busy)
    busy.delete_thread(USER, "t40")
    for external_id in ("thread:t40", "attachment:t40:m40b:0"):
        with pytest.raises(ItemGone):
            read(busy, replace(find(pages, external_id), listed=None))


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (json_reply({"error": {"code": 401}}, 401), CredentialsRejected),
        (json_reply({"error": {"code": 429}}, 429, retry_after="90"), RateLimited),
        (json_reply({"error": {"errors": [{"reason": "userRateLimitExceeded"}]}}, 403), RateLimited),
    ],
)
def test_pages_before_a_refusal_stay_and_their_cursor_goes_on(
    google: GoogleEmulator, whole: list[Page], reply: Reply, error: type[Exception]
) -> None:
    with closing(source(google)) as walker:
        pages = walker.pages(None)
        seen = [next(pages), next(pages)]
        google.fail("/threads/t1", reply)
        with pytest.raises(error):
            seen += pages
    assert ids_of(seen) + ids_of(walk(google, seen[-1].cursor)) == ids_of(whole)


@pytest.mark.parametrize(
    "reply",
    [
        json_reply({}, 503),
        Reply(200, b'{"threads": [', {"content-type": "application/json"}, missing_bytes=99),
    ],
    ids=["503", "cut"],
)
def test_pass_survives_a_passing_fault(google: GoogleEmulator, reply: Reply) -> None:
    google.fail("/threads?", reply, reply)
    assert len(ids_of(walk(google))) == THREADS + THREADS // 10


def walk(
    google: GoogleEmulator, since: Mapping[str, Any] | None = None, settings: Mapping[str, Any] | None = None
) -> list[Page]:
    with closing(source(google, settings)) as walker:
        return list(walker.pages(since))


def source(google: GoogleEmulator, settings: Mapping[str, Any] | None = None) -> Any:
    return open_with(PROVIDER, settings or {}, credentials(google.token(USER)), api_base=google.base_url)


def read(google: GoogleEmulator, entry: Entry) -> SourceItem:
    with closing(source(google)) as walker:
        item: SourceItem = walker.read(entry)
        return item


def find(pages: list[Page], external_id: str) -> Entry:
    return next(entry for entry in entries_of(pages) if entry.external_id == external_id)


def new_mail(thread: str, text: str, *, attachments: bool = False) -> Mail:
    return Mail(
        f"new-{thread}",
        thread,
        "Something new",
        text,
        "Mon, 02 Mar 2026 10:00:00 +0000",
        attachments=(("n.txt", "text/plain", b"new notes\n"),) if attachments else (),
    )
