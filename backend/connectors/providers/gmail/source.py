"""Walks the threads of a mailbox: all of them, or those that the history says have changed.

A listing of Gmail's shows ids only, so each thread is fetched to see whether it is synced and what is attached; its
text comes along and is handed to `read`, which then asks for nothing. The id of the mailbox's history is taken before
a full pass begins, so the changes made meanwhile are the next pass's.

https://developers.google.com/workspace/gmail/api/guides/sync
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from backend.connectors.providers.contract import (
    JSON,
    CursorExpired,
    Entry,
    ItemFailure,
    ItemGone,
    ItemUnreadable,
    Opening,
    Page,
    ProviderUnavailable,
    SourceItem,
)
from backend.connectors.providers.gmail import items
from backend.connectors.providers.gmail.mailbox import Mailbox, text_at
from backend.connectors.providers.gmail.position import Position
from backend.connectors.providers.gmail.scope import NEVER, PASSING, Scope
from backend.connectors.providers.gmail.threads import (
    MAX_ATTACHMENTS,
    Message,
    Thread,
    parse_thread,
)
from backend.connectors.providers.google.api import BadRequest

THREADS_PER_PAGE: Final = 20
BYTES_PER_PAGE: Final = 8 * 1024 * 1024
#: Threads above this are fetched again when they are read, so that a page stays small in memory.
MAX_LISTED_BYTES: Final = 2 * 1024 * 1024
MAX_ATTACHMENT_BYTES: Final = 20 * 1024 * 1024
#: Ids in one search; a search has at most some thousand characters.
_IDS_PER_SEARCH: Final = 10


@dataclass(slots=True)
class _Batch:
    """What becomes one page."""

    entries: list[Entry] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    failures: list[ItemFailure] = field(default_factory=list)
    byte_size: int = 0
    threads: int = 0

    @property
    def is_full(self) -> bool:
        return self.threads >= THREADS_PER_PAGE or self.byte_size >= BYTES_PER_PAGE


class GmailSource:
    """A `Source` for one mailbox. Loaded by workers only."""

    def __init__(self, opening: Opening) -> None:
        self._mailbox = Mailbox(opening)
        self._scope = Scope.of(opening.settings)
        self._with_attachments = bool(opening.settings.get("attachments", True))

    def close(self) -> None:
        """Let go of connections."""
        self._mailbox.close()

    def pages(self, since: Mapping[str, JSON] | None) -> Iterator[Page]:
        """See `Source.pages`."""
        if since is not None:
            at = Position.from_cursor(since)
        else:
            labels = self._scope.include
            history = self._mailbox.history_id()
            at = Position(history, is_full=True, label=labels[0] if labels else None)
        yield from self._everything(at) if at.is_full else self._changes(at)

    def read(self, entry: Entry) -> SourceItem:
        """See `Source.read`."""
        try:
            if "message" in entry.locator:
                return self._read_attachment(entry)
            thread = entry.listed if isinstance(entry.listed, Thread) else None
            if thread is None:
                thread = parse_thread(
                    self._mailbox.thread(str(entry.locator["thread"]))[0], self._mailbox.attachment
                )
            kept = self._scope.kept(thread)
            if not kept:
                raise ItemGone
            return items.thread_item(thread, kept, self._mailbox.label_names())
        except BadRequest as error:
            raise ItemUnreadable from error

    def _everything(self, at: Position) -> Iterator[Page]:
        labels = self._scope.include or (None,)
        start = labels.index(at.label) if at.label in labels else 0
        for number, label in enumerate(labels[start:], start=start):
            here = at if label == at.label else Position(at.history, is_full=True, label=label)
            following = labels[number + 1 : number + 2]
            if following:
                done = Position(at.history, is_full=True, label=following[0])
            else:
                done = Position(at.history, is_full=False)
            yield from self._listing(here, done)

    def _listing(self, at: Position, done: Position) -> Iterator[Page]:
        while True:
            try:
                listing = self._mailbox.list_threads(
                    search=self._scope.search, label=at.label, token=at.token
                )
            except BadRequest as error:
                if at.token:
                    raise CursorExpired from error
                if at.label:
                    # The label was deleted.
                    yield Page(done.to_cursor(), failures=(_label_failure(at.label),), is_full=True)
                    return
                raise
            following = listing.get("nextPageToken")
            end = replace(at, token=str(following), after=None) if following else done
            listed = {text_at(thread, "id"): () for thread in listing.get("threads") or ()}
            yield from self._threads(listed, at, end, note=self._note(at.label))
            if not following:
                return
            at = end

    def _changes(self, at: Position) -> Iterator[Page]:
        while True:
            try:
                answer = self._mailbox.list_history(at.history, token=at.token)
            except (ItemGone, BadRequest) as error:
                raise CursorExpired from error
            # The first page's: what happens while the others are read is then seen once more, not missed.
            latest = at.following or text_at(answer, "historyId")
            if following := answer.get("nextPageToken"):
                end = replace(at, token=str(following), after=None, following=latest)
            else:
                end = Position(latest, is_full=False)
            try:
                touched = _touched(answer)
            except (KeyError, TypeError, AttributeError) as error:
                raise ProviderUnavailable from error
            yield from self._threads(touched, replace(at, following=latest), end, note="Changes")
            if not following:
                return
            at = end

    def _threads(
        self, touched: Mapping[str, Sequence[str]], at: Position, end: Position, *, note: str
    ) -> Iterator[Page]:
        """Pages of these threads after `at.after`, the last one with the cursor of `end`. `touched`: thread ids, each
        with the messages of it that were deleted."""
        ids = list(touched)
        # The place is gone when the listing has moved; then all of it is shown again, which harms nobody.
        todo = ids[ids.index(at.after) + 1 :] if at.after in ids else ids
        batch = _Batch()
        for number, thread_id in enumerate(todo, start=1):
            self._add(batch, thread_id, touched[thread_id], is_full=at.is_full)
            if batch.is_full and number < len(todo):
                yield self._page(batch, replace(at, after=thread_id), at, note)
                batch = _Batch()
        yield self._page(batch, end, at, note)

    def _page(self, batch: _Batch, cursor: Position, at: Position, note: str) -> Page:
        return Page(
            cursor.to_cursor(),
            entries=tuple(batch.entries),
            failures=tuple(batch.failures),
            gone=tuple(set(batch.gone) - {entry.external_id for entry in batch.entries}),
            is_full=at.is_full,
            note=note,
        )

    def _add(self, batch: _Batch, thread_id: str, deleted: Sequence[str], *, is_full: bool) -> None:
        """Fetches a thread and puts what is to be known of it into the batch."""
        batch.threads += 1
        for message_id in deleted:
            batch.gone += (items.attachment_id(thread_id, message_id, n) for n in range(MAX_ATTACHMENTS))
        try:
            raw, byte_size = self._mailbox.thread(thread_id)
            thread = parse_thread(raw)
        except ItemGone:
            batch.gone.append(items.thread_id(thread_id))
            return
        except ItemUnreadable as error:
            # Shown all the same, so that it is recorded and tried again like any item that cannot be read.
            batch.entries.append(items.unread_thread_entry(thread_id))
            batch.failures.append(items.attachments_failure(thread_id, error.message))
            return
        batch.byte_size += byte_size
        kept = self._scope.kept(thread)
        if kept and not is_full and self._scope.query and not self._matches(kept):
            kept = ()
        if not kept:
            batch.gone.append(items.thread_id(thread_id))
        else:
            is_small = byte_size <= MAX_LISTED_BYTES and all(message.is_whole for message in kept)
            batch.entries.append(items.thread_entry(thread, kept, listed=thread if is_small else None))
        for message in thread.messages:
            if message in kept and self._with_attachments:
                batch.entries += items.attachment_entries(message)
            elif not is_full:
                batch.gone += (
                    items.attachment_id(message.thread_id, message.id, a.number) for a in message.attachments
                )

    def _matches(self, messages: Sequence[Message]) -> bool:
        """Whether Gmail finds one of the messages with the query of the settings."""
        ids = [message.message_id for message in messages if message.message_id]
        for start in range(0, len(ids), _IDS_PER_SEARCH):
            wanted = " ".join(f"rfc822msgid:{each}" for each in ids[start : start + _IDS_PER_SEARCH])
            if self._mailbox.finds(f"{self._scope.search} {{{wanted}}}"):
                return True
        return False

    def _read_attachment(self, entry: Entry) -> SourceItem:
        number = int(entry.locator["number"])  # type: ignore[arg-type]
        if isinstance(entry.listed, Message):
            try:
                return self._attachment(entry.listed, number)
            except (ItemGone, BadRequest):
                # The id of an attachment lasts for a while only.
                pass
        return self._attachment(self._mailbox.message(str(entry.locator["message"])), number)

    def _attachment(self, message: Message, number: int) -> SourceItem:
        attachment = next((a for a in message.attachments if a.number == number), None)
        if attachment is None:
            raise ItemGone
        if attachment.byte_size > MAX_ATTACHMENT_BYTES:
            raise ItemUnreadable(f"The attachment is larger than {MAX_ATTACHMENT_BYTES // 1024 // 1024} MiB.")
        body = attachment.data
        if body is None and attachment.attachment_id:
            body = self._mailbox.attachment(message.id, attachment.attachment_id)
        return items.attachment_item(message, attachment, body or b"", self._mailbox.label_names())

    def _note(self, label: str | None) -> str:
        return f"Threads: {self._mailbox.label_names().get(label, label)}" if label else "Threads"


def open_source(opening: Opening) -> GmailSource:
    """A source for the connected mailbox."""
    return GmailSource(opening)


def _touched(answer: Mapping[str, Any]) -> dict[str, list[str]]:
    """The threads that a page of the history is about, each with the messages deleted from it or thrown away."""
    touched: dict[str, list[str]] = {}
    for record in answer.get("history") or ():
        for kind in ("messagesAdded", "messagesDeleted", "labelsAdded", "labelsRemoved"):
            for change in record.get(kind) or ():
                if kind.startswith("labels") and PASSING.issuperset(change.get("labelIds") or ()):
                    continue
                message = change["message"]
                deleted = touched.setdefault(str(message["threadId"]), [])
                is_thrown_away = kind == "labelsAdded" and not NEVER.isdisjoint(change.get("labelIds") or ())
                if kind == "messagesDeleted" or is_thrown_away:
                    deleted.append(str(message["id"]))
    return touched


def _label_failure(label: str) -> ItemFailure:
    reason = "Gmail has no such label any more; take it off the list of labels."
    return ItemFailure(f"label:{label}", None, "list", reason)
