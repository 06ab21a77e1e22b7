"""Gmail where the emulator has nothing: forms of messages, searches, an expired history, limits and refusals.

The server below answers as Google's published description of the Gmail API (v1) says.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import stamina

from backend.connectors.providers.contract import (
    CredentialsRejected,
    CursorExpired,
    Entry,
    ItemUnreadable,
    Page,
    ProviderRefused,
    ProviderUnavailable,
    RateLimited,
    SourceItem,
)
from backend.connectors.providers.gmail import PROVIDER
from backend.connectors.providers.gmail.threads import MAX_ATTACHMENTS
from backend.connectors.providers.provider import open_with
from tests.connectors.walking import credentials, entries_of, ids_of
from tests.emulators.scripted import Reply, Request, ScriptedServer, json_reply, scripted_server

ME = "/gmail/v1/users/me"
ANN, BOB = "Ann Lee <ann@example.org>", "bob@example.org"
PNG = "image/png"


def error(status: int, reason: str) -> Reply:
    """A refusal in the form of Google's."""
    named = [{"domain": "usageLimits", "reason": reason, "message": "internal words"}]
    return json_reply({"error": {"code": status, "message": "internal words", "errors": named}}, status)


def part(mime: str, content: str | bytes = b"", *parts: Any, **more: Any) -> dict[str, Any]:
    """A part of a message. `more`: filename, headers, or a body of its own."""
    raw = content.encode() if isinstance(content, str) else content
    body = (
        {"size": len(raw), "data": base64.urlsafe_b64encode(raw).decode().rstrip("=")} if raw else {"size": 0}
    )
    return {
        "partId": "0",
        "mimeType": mime,
        "filename": "",
        "headers": [],
        "body": body,
        "parts": parts,
        **more,
    }


def message(
    number: int, payload: Mapping[str, Any], *, labels: tuple[str, ...] = ("INBOX",), **head: str
) -> Any:
    """A message of the thread `t`, an hour after the one before."""
    headers = {
        "From": ANN,
        "To": BOB,
        "Subject": "Pool size",
        "Message-ID": f"<{number}@example.org>",
        **head,
    }
    sent = datetime(2026, 3, 4, 5, tzinfo=UTC) + timedelta(hours=number)
    return {
        "id": f"m{number}",
        "threadId": "t",
        "labelIds": labels,
        "internalDate": str(int(sent.timestamp() * 1000)),
        "payload": {
            **payload,
            "headers": [{"name": name, "value": value} for name, value in headers.items()],
        },
    }


class FakeGmail:
    """A mailbox of one thread; a test puts its messages there, and answers of its own for a path."""

    def __init__(self) -> None:
        self.messages: list[Any] = [message(0, part("text/plain", "Let us take 18."))]
        self.history: list[Any] = []
        self.replies: dict[str, list[Reply]] = {}

    def on(self, path: str, *replies: Reply) -> None:
        """Answer the next requests for `path` with these."""
        self.replies[ME + path] = list(replies)

    def __call__(self, request: Request) -> Reply:
        path = urlsplit(request.path).path
        if waiting := self.replies.get(path):
            return waiting.pop(0)
        match path.removeprefix(ME).split("/")[1:]:
            case ["profile"]:
                return json_reply({"historyId": "100"})
            case ["labels"]:
                return json_reply(
                    {"labels": [{"id": "INBOX", "name": "INBOX"}, {"id": "L1", "name": "Work"}]}
                )
            case ["threads"]:
                return json_reply({"threads": [{"id": "t", "historyId": "90"}]})
            case ["threads", "t"] if self.messages:
                return json_reply({"id": "t", "historyId": "90", "messages": self.messages})
            case ["messages", found] if any(each["id"] == found for each in self.messages):
                return json_reply(next(each for each in self.messages if each["id"] == found))
            case ["messages", _, "attachments", _]:
                return json_reply({"size": 5, "data": base64.urlsafe_b64encode(b"bytes").decode()})
            case ["history"]:
                return json_reply({"history": self.history, "historyId": "120"})
        return error(404, "notFound")


@pytest.fixture
def gmail() -> FakeGmail:
    return FakeGmail()


@pytest.fixture
def server(gmail: FakeGmail) -> Iterator[ScriptedServer]:
    with scripted_server(gmail) as running, stamina.set_testing(True, attempts=4, cap=True):
        yield running


def test_spam_drafts_and_the_bin_are_no_part_of_a_thread(gmail: FakeGmail, server: ScriptedServer) -> None:
    for number, label in enumerate(("DRAFT", "SPAM", "TRASH"), start=1):
        gmail.messages.append(message(number, part("text/plain", f"a {label} text"), labels=(label,)))
    text = body(server)
    assert "Let us take 18." in text
    assert "text" not in text
    gmail.messages = gmail.messages[1:]
    (page,) = walk(server)
    assert (page.entries, page.gone) == ((), ("thread:t",))


def test_settings_choose_by_label_category_and_age(gmail: FakeGmail, server: ScriptedServer) -> None:
    gmail.messages = [
        message(0, part("text/plain", "Buy!"), labels=("INBOX", "CATEGORY_PROMOTIONS")),
        message(1, part("text/plain", "No."), labels=("SENT", "L1")),
    ]
    for settings, is_synced in (
        ({"skip_categories": ["promotions"]}, True),
        ({"include_labels": ["L1"]}, True),
        ({"include_labels": ["L2"]}, False),
        ({"exclude_labels": ["L1"]}, False),
        ({"max_age_days": 1}, False),
        ({"max_age_days": 36_500}, True),
    ):
        assert ids_of(walk(server, settings=settings)) == (["thread:t"] if is_synced else []), settings
    del gmail.messages[1]
    assert ids_of(walk(server, settings={"skip_categories": ["promotions"]})) == []
    asked = [
        parse_qs(urlsplit(path).query).get("q")
        for path in server.paths()
        if path.startswith(f"{ME}/threads?")
    ]
    assert asked[0] == ["-category:promotions"]
    assert asked[4] == ["newer_than:1d"]


def test_query_is_asked_of_gmail_for_changes_as_well(gmail: FakeGmail, server: ScriptedServer) -> None:
    settings = {"query": "from:ann OR from:bob"}
    cursor = walk(server, settings=settings)[-1].cursor
    gmail.history = [{"messagesAdded": [{"message": {"id": "m0", "threadId": "t"}}]}]
    gmail.on("/messages", json_reply({"messages": [{"id": "m0"}]}), json_reply({"resultSizeEstimate": 0}))
    assert ids_of(walk(server, cursor, settings)) == ["thread:t"]
    (page,) = walk(server, cursor, settings)
    assert (page.entries, page.gone) == ((), ("thread:t",))
    searched = parse_qs(
        urlsplit(next(path for path in server.paths() if path.startswith(f"{ME}/messages?"))).query
    )
    assert searched["q"] == ["(from:ann OR from:bob) {rfc822msgid:0@example.org}"]


def test_html_is_read_when_there_is_no_text(gmail: FakeGmail, server: ScriptedServer) -> None:
    html = (
        "<div>The pool has <b>18</b> connections.<br>Not more.</div><img src='https://track.example/1.gif'>"
    )
    gmail.messages = [message(0, part("text/html", html))]
    assert "The pool has 18 connections.\nNot more." in body(server)
    stub = part("text/plain", "This message is in HTML.")
    gmail.messages = [message(0, part("multipart/alternative", b"", stub, part("text/html", html)))]
    text = body(server)
    assert "The pool has 18 connections." in text
    assert "This message is in HTML" not in text


def test_text_that_gmail_keeps_apart_is_fetched_when_it_is_read(
    gmail: FakeGmail, server: ScriptedServer
) -> None:
    gmail.messages = [message(0, part("text/plain", body={"size": 5, "attachmentId": "far"}))]
    (entry,) = entries_of(walk(server))
    assert not any("attachments" in path for path in server.paths())
    assert "bytes" in read(server, entry).body.decode()


def test_encodings_are_understood(gmail: FakeGmail, server: ScriptedServer) -> None:
    latin = [{"name": "Content-Type", "value": "text/plain; charset=iso-8859-1"}]
    payload = part("multipart/mixed", b"", part("text/plain", "Größe".encode("latin-1"), headers=latin))
    gmail.messages = [
        message(0, payload, Subject="=?utf-8?q?Gr=C3=B6=C3=9Fe?=", From="=?utf-8?q?Jos=C3=A9?= <J@X.org>")
    ]
    item = read(server, entries_of(walk(server))[0])
    assert (item.title, item.author, item.metadata["sender"]) == ("Größe", "j@x.org", "José")
    assert item.body.decode().rstrip().endswith("Größe")


def test_lines_of_a_mail_are_no_headings_of_the_document(gmail: FakeGmail, server: ScriptedServer) -> None:
    gmail.messages = [message(0, part("text/plain", "# not a heading\nRegards,\n-- \nAnn\n```\nunclosed"))]
    text = body(server)
    assert "\\# not a heading" in text
    assert "\\-- \n" in text
    assert "\\```" in text


def test_attachments_that_are_documents_are_listed(gmail: FakeGmail, server: ScriptedServer) -> None:
    far = {"size": 5, "attachmentId": "volatile-1"}
    huge = {"size": 30 * 1024 * 1024, "attachmentId": "volatile-2"}
    gmail.messages = [
        message(
            0,
            part(
                "multipart/mixed",
                b"",
                part(
                    "multipart/related",
                    b"",
                    part("text/html", "<p>See there</p>"),
                    part(PNG, b"p", filename="a.png"),
                ),
                part("application/pdf", filename="plan.pdf", body=far),
                part("text/csv", "a,b", filename="sums.csv"),
                part("application/pdf", filename="huge.pdf", body=huge),
                part("text/calendar", "BEGIN", filename="invite.ics"),
                part("message/rfc822", b"", part("text/plain", "The forwarded words."), filename="fwd.eml"),
            ),
        )
    ]
    entries = {entry.title: entry for entry in entries_of(walk(server))}
    assert sorted(entries) == ["Pool size", "huge.pdf", "plan.pdf", "sums.csv"]
    assert entries["plan.pdf"].external_id == "attachment:t:m0:0"
    plan = read(server, entries["plan.pdf"])
    assert (plan.body, plan.mime_type, plan.metadata["file_type"]) == (b"bytes", "application/pdf", "pdf")
    assert read(server, entries["sums.csv"]).body == b"a,b"
    with pytest.raises(ItemUnreadable, match="20 MiB"):
        read(server, entries["huge.pdf"])
    text = read(server, entries["Pool size"]).body.decode()
    assert "Attachments: plan.pdf, sums.csv, huge.pdf" in text
    assert "The forwarded words." in text


def test_attachment_is_found_again_when_its_id_has_expired(gmail: FakeGmail, server: ScriptedServer) -> None:
    gmail.messages = [
        message(
            0,
            part(
                "multipart/mixed",
                b"",
                part("application/pdf", filename="a.pdf", body={"attachmentId": "old"}),
            ),
        )
    ]
    entry = entries_of(walk(server))[1]
    gmail.on("/messages/m0/attachments/old", error(400, "invalidArgument"))
    assert read(server, entry).body == b"bytes"
    assert f"{ME}/messages/m0?format=full" in server.paths()


def test_attachments_of_a_message_that_gmail_forgot_are_gone(
    gmail: FakeGmail, server: ScriptedServer
) -> None:
    cursor = walk(server)[-1].cursor
    gmail.history = [{"messagesDeleted": [{"message": {"id": "m9", "threadId": "t"}}]}]
    (page,) = walk(server, cursor)
    assert ids_of([page]) == ["thread:t"]
    assert set(page.gone) == {f"attachment:t:m9:{n}" for n in range(MAX_ATTACHMENTS)}


@pytest.mark.parametrize("status", [404, 400])
def test_history_that_gmail_forgot_asks_for_a_full_pass(
    status: int, gmail: FakeGmail, server: ScriptedServer
) -> None:
    cursor = walk(server)[-1].cursor
    gmail.on("/history", error(status, "notFound"))
    with pytest.raises(CursorExpired):
        walk(server, cursor)
    with pytest.raises(CursorExpired):
        walk(server, {"written": "by an earlier version"})


def test_history_of_several_pages_goes_on_from_each(gmail: FakeGmail, server: ScriptedServer) -> None:
    cursor = walk(server)[-1].cursor
    record = [{"labelsAdded": [{"message": {"id": "m0", "threadId": "t"}, "labelIds": ["L1"]}]}]
    pages_of_history = (
        json_reply({"history": record, "historyId": "110", "nextPageToken": "p2"}),
        json_reply({"history": record, "historyId": "115"}),
    )
    gmail.on("/history", *pages_of_history)
    first, second = walk(server, cursor)
    assert (first.cursor["token"], second.cursor["history"]) == ("p2", "110")
    gmail.on("/history", pages_of_history[1])
    (rest,) = walk(server, json.loads(json.dumps(first.cursor)))
    assert rest.cursor == second.cursor
    assert ids_of([rest]) == ids_of([second])


def test_page_token_that_gmail_forgot_asks_for_a_full_pass(gmail: FakeGmail, server: ScriptedServer) -> None:
    gmail.on(
        "/threads",
        json_reply({"threads": [{"id": "t"}], "nextPageToken": "p2"}),
        error(400, "invalidArgument"),
    )
    with closing(source(server)) as walker:
        pages = walker.pages(None)
        next(pages)
        with pytest.raises(CursorExpired):
            next(pages)


def test_label_that_was_deleted_is_a_failure(gmail: FakeGmail, server: ScriptedServer) -> None:
    gmail.on("/threads", error(400, "invalidArgument"))
    pages = walk(server, settings={"include_labels": ["gone", "INBOX"]})
    assert [failure.external_id for page in pages for failure in page.failures] == ["label:gone"]
    assert ids_of(pages) == ["thread:t"]


def test_thread_that_is_too_large_is_shown_and_unreadable(gmail: FakeGmail, server: ScriptedServer) -> None:
    too_large = Reply(200, b" " * (32 * 1024 * 1024 + 1))
    gmail.on("/threads/t", too_large, too_large)
    (page,) = walk(server)
    (entry,) = page.entries
    assert [failure.hides for failure in page.failures] == [("attachment:t:",)]
    with pytest.raises(ItemUnreadable, match="32 MiB"):
        read(server, entry)


@pytest.mark.parametrize(
    ("reply", "raised"),
    [
        (error(403, "insufficientPermissions"), CredentialsRejected),
        (error(403, "quotaExceeded"), RateLimited),
        (error(403, "rateLimitExceeded"), RateLimited),
        (error(403, "accessNotConfigured"), ProviderRefused),
        (error(400, "failedPrecondition"), ProviderRefused),
        (Reply(200, b"<html>"), ProviderUnavailable),
        (json_reply({"threads": [{"no": "id"}]}), ProviderUnavailable),
        (json_reply("words"), ProviderUnavailable),
    ],
)
def test_what_google_says_is_told_apart(
    reply: Reply, raised: type[Exception], gmail: FakeGmail, server: ScriptedServer
) -> None:
    gmail.on("/threads", *[reply] * 4)
    with pytest.raises(raised) as caught:
        walk(server)
    assert "internal" not in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": "t", "historyId": "90", "messages": [{"payload": []}]},
        {"id": "t", "messages": []},
        {"id": "t", "historyId": "90", "messages": [message(0, part("text/plain", body={"data": "é"}))]},
    ],
)
def test_malformed_thread_is_shown_and_unreadable(
    wrong: Mapping[str, Any], gmail: FakeGmail, server: ScriptedServer
) -> None:
    gmail.on("/threads/t", json_reply(wrong), json_reply(wrong))
    (entry,) = entries_of(walk(server))
    with pytest.raises(ItemUnreadable, match="form"):
        read(server, entry)


def body(server: ScriptedServer) -> str:
    """The document that the thread becomes."""
    return read(server, entries_of(walk(server))[0]).body.decode()


def walk(
    server: ScriptedServer, since: Mapping[str, Any] | None = None, settings: Mapping[str, Any] | None = None
) -> list[Page]:
    with closing(source(server, settings)) as walker:
        return list(walker.pages(since))


def source(server: ScriptedServer, settings: Mapping[str, Any] | None = None) -> Any:
    return open_with(PROVIDER, settings or {}, credentials("token"), api_base=server.base_url)


def read(server: ScriptedServer, entry: Entry) -> SourceItem:
    with closing(source(server)) as walker:
        item: SourceItem = walker.read(entry)
        return item
