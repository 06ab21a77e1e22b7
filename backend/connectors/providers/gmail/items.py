"""What becomes of threads and attachments: their names here, their entries, and the documents."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath

from backend.connectors.providers.contract import JSON, Entry, ItemFailure, SourceItem
from backend.connectors.providers.gmail import render
from backend.connectors.providers.gmail.threads import MAX_ATTACHMENTS, Attachment, Message, Thread


def thread_id(gmail_id: str) -> str:
    """External id of a thread."""
    return f"thread:{gmail_id}"


def attachment_id(thread: str, message: str, number: int) -> str:
    """External id of the attachment `number` of a message."""
    return f"attachment:{thread}:{message}:{number}"


def thread_entry(thread: Thread, kept: Sequence[Message], *, listed: Thread | None) -> Entry:
    """A thread as the listing shows it."""
    return Entry(
        external_id=thread_id(thread.id),
        title=render.title_of(kept),
        url=_url(thread.id),
        revision=thread.history_id,
        locator={"thread": thread.id},
        listed=listed,
    )


def unread_thread_entry(gmail_id: str) -> Entry:
    """A thread of which no more is known than that it is there."""
    return Entry(thread_id(gmail_id), render.NO_SUBJECT, _url(gmail_id), None, {"thread": gmail_id})


def attachments_failure(gmail_id: str, reason: str) -> ItemFailure:
    """What is attached to a thread that cannot be read is not known either."""
    return ItemFailure(
        f"attachments:{gmail_id}", _url(gmail_id), "list", reason, hides=(f"attachment:{gmail_id}:",)
    )


def attachment_entries(message: Message) -> Iterator[Entry]:
    """The attachments of a message. What is sent never changes: their revision is their size."""
    for attachment in message.attachments[:MAX_ATTACHMENTS]:
        yield Entry(
            external_id=attachment_id(message.thread_id, message.id, attachment.number),
            title=attachment.file_name,
            url=_url(message.thread_id),
            revision=str(attachment.byte_size),
            locator={"thread": message.thread_id, "message": message.id, "number": attachment.number},
            listed=message,
        )


def thread_item(thread: Thread, kept: Sequence[Message], label_names: Mapping[str, str]) -> SourceItem:
    """The thread as one document."""
    first = kept[0]
    people = render.participants(kept)
    metadata: dict[str, JSON] = {
        "labels": _labels(kept, label_names),
        "participants": [person.address for person in people],
        "sender": first.sender.name or first.sender.address,
        "sender_email": first.sender.address,
        "recipients": [person.address for person in people if person.address != first.sender.address],
        "message_count": len(kept),
        "thread_id": thread.id,
        "file_type": "email",
    }
    return SourceItem(
        external_id=thread_id(thread.id),
        title=render.title_of(kept),
        body=render.thread(kept).encode("utf-8", errors="replace"),
        mime_type="text/markdown",
        file_name="thread.md",
        kind="thread",
        url=_url(thread.id),
        author=first.sender.address or None,
        created_at=first.sent_at,
        updated_at=kept[-1].sent_at,
        metadata=metadata,
    )


def attachment_item(
    message: Message, attachment: Attachment, body: bytes, label_names: Mapping[str, str]
) -> SourceItem:
    """An attachment as a document of its own, with what is known of the message it came with."""
    people = render.participants((message,))
    metadata: dict[str, JSON] = {
        "labels": _labels((message,), label_names),
        "participants": [person.address for person in people],
        "sender": message.sender.name or message.sender.address,
        "sender_email": message.sender.address,
        "subject": message.subject,
        "thread_id": message.thread_id,
        "file_type": PurePath(attachment.file_name).suffix.lower().lstrip(".") or "attachment",
    }
    return SourceItem(
        external_id=attachment_id(message.thread_id, message.id, attachment.number),
        title=attachment.file_name,
        body=body,
        mime_type=attachment.mime_type,
        file_name=attachment.file_name,
        kind="attachment",
        url=_url(message.thread_id),
        author=message.sender.address or None,
        created_at=message.sent_at,
        updated_at=message.sent_at,
        metadata=metadata,
    )


def _labels(messages: Sequence[Message], names: Mapping[str, str]) -> list[str]:
    """Names of all labels that one of the messages has; labels nobody knows a name for are left out."""
    return sorted({names[label] for message in messages for label in message.label_ids if label in names})


def _url(gmail_id: str) -> str:
    return f"https://mail.google.com/mail/#all/{gmail_id}"
