"""Threads as Gmail's API sends them: messages, their text, their attachments.

https://developers.google.com/workspace/gmail/api/reference/rest/v1/users.messages#Message
"""

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.errors import MessageError
from email.header import decode_header, make_header
from email.utils import getaddresses
from typing import Any, Final

from backend.connectors.providers.contract import ItemUnreadable
from backend.connectors.providers.gmail.html import text_of

#: Attachments of one message that are documents. They are numbered, so that those of a message that Gmail has
#: forgotten can still be named.
MAX_ATTACHMENTS: Final = 32
#: A plain part with fewer words is only the note that the message is in HTML.
_FEW_WORDS: Final = 12
_DEEPEST: Final = 30
#: Attached, but no document: pictures and sound, invitations, signatures, Outlook's own wrapping.
_NO_DOCUMENTS: Final = ("image/", "video/", "audio/", "font/", "multipart/")
_NO_DOCUMENT: Final = frozenset(
    {
        "text/calendar",
        "application/ics",
        "application/ms-tnef",
        "application/pgp-keys",
        "application/pgp-signature",
        "application/pkcs7-signature",
        "application/x-pkcs7-signature",
    }
)

_UNREADABLE: Final = "Gmail sent it in a form that cannot be read."

#: Fetches what Gmail keeps apart: (message id, attachment id) -> bytes.
Load = Callable[[str, str], bytes]


@dataclass(frozen=True, slots=True)
class Person:
    """One address of a message, in lower case, and the name in front of it."""

    address: str
    name: str

    def __str__(self) -> str:
        return f"{self.name} <{self.address}>" if self.name else self.address


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file sent with a message. `attachment_id` changes with every answer; `number` stays."""

    number: int
    file_name: str
    mime_type: str
    byte_size: int
    attachment_id: str | None
    data: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Message:
    """One message. `text` is what its sender wrote and quoted, as plain text."""

    id: str
    thread_id: str
    label_ids: frozenset[str]
    sent_at: datetime
    subject: str
    sender: Person
    recipients: tuple[Person, ...]
    message_id: str
    text: str = field(repr=False)
    attachments: tuple[Attachment, ...]
    is_whole: bool
    """Whether all of its text is here; parts that Gmail keeps apart are fetched only when it is read."""


@dataclass(frozen=True, slots=True)
class Thread:
    """A conversation, its messages in the order of time."""

    id: str
    history_id: str
    messages: tuple[Message, ...]


def parse_thread(raw: Mapping[str, Any], load: Load | None = None) -> Thread:
    """A thread in format `full`. Raises ItemUnreadable when it is none, and what `load` raises."""
    try:
        messages = sorted(
            (parse_message(message, load) for message in raw.get("messages") or ()),
            key=lambda message: (message.sent_at, message.id),
        )
        return Thread(str(raw["id"]), str(raw["historyId"]), tuple(messages))
    except (KeyError, TypeError, AttributeError) as error:
        raise ItemUnreadable(_UNREADABLE) from error


def parse_message(raw: Mapping[str, Any], load: Load | None = None) -> Message:
    """A message in format `full`. Raises ItemUnreadable when it is none, and what `load` raises."""
    try:
        return _message(raw, load)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ItemUnreadable(_UNREADABLE) from error


def _message(raw: Mapping[str, Any], load: Load | None) -> Message:
    payload = raw.get("payload") or {}
    headers: dict[str, list[str]] = {}
    for header in payload.get("headers") or ():
        headers.setdefault(str(header["name"]).lower(), []).append(_decoded(str(header["value"])))
    message_id = str(raw["id"])
    reading = _Reading(message_id, load)
    text = reading.text(payload)
    senders = _people(headers.get("from", []))
    return Message(
        id=message_id,
        thread_id=str(raw["threadId"]),
        label_ids=frozenset(map(str, raw.get("labelIds") or ())),
        sent_at=datetime.fromtimestamp(int(raw["internalDate"]) / 1000, UTC),
        subject=" ".join(" ".join(headers.get("subject", [])).split()),
        sender=senders[0] if senders else Person("", ""),
        recipients=_people(headers.get("to", []) + headers.get("cc", [])),
        message_id="".join(headers.get("message-id", [])).strip().strip("<>"),
        text=text,
        attachments=tuple(reading.attachments),
        is_whole=reading.is_whole,
    )


class _Reading:
    """Walks the parts of one message."""

    def __init__(self, message_id: str, load: Load | None) -> None:
        self.attachments: list[Attachment] = []
        self.is_whole = True
        self._message_id = message_id
        self._load = load

    def text(self, part: Mapping[str, Any], depth: int = 0) -> str:
        """The text below `part`, the better one of alternatives. Notes the attachments."""
        mime_type = str(part.get("mimeType") or "").lower()
        parts = (part.get("parts") or ()) if depth < _DEEPEST else ()
        if mime_type == "multipart/alternative":
            # In ascending order of what the sender likes best; what cannot be text yields nothing.
            texts = [(str(p.get("mimeType")).lower() == "text/plain", self.text(p, depth + 1)) for p in parts]
            plain = next((text for is_plain, text in texts if is_plain and text.strip()), "")
            rich = next((text for is_plain, text in reversed(texts) if not is_plain and text.strip()), "")
            return rich if rich and len(plain.split()) < _FEW_WORDS else plain or rich
        if parts:
            return "\n\n".join(filter(None, (self.text(p, depth + 1) for p in parts)))
        if part.get("filename") or mime_type not in ("text/plain", "text/html", ""):
            self._note_attachment(part, mime_type)
            return ""
        text = _characters(self._bytes(part.get("body") or {}), _charset(part))
        text = text_of(text) if mime_type == "text/html" else text.replace("\r\n", "\n").replace("\r", "\n")
        return text.strip("\n")

    def _note_attachment(self, part: Mapping[str, Any], mime_type: str) -> None:
        body = part.get("body") or {}
        file_name = str(part.get("filename") or "")
        if not file_name or mime_type.startswith(_NO_DOCUMENTS) or mime_type in _NO_DOCUMENT:
            return
        self.attachments.append(
            Attachment(
                number=len(self.attachments),
                file_name=file_name.replace("\\", "/").rpartition("/")[2] or file_name,
                mime_type=mime_type or "application/octet-stream",
                byte_size=int(body.get("size") or 0),
                attachment_id=str(body["attachmentId"]) if body.get("attachmentId") else None,
                data=from_base64url(body["data"]) if body.get("data") else None,
            )
        )

    def _bytes(self, body: Mapping[str, Any]) -> bytes:
        if body.get("data"):
            return from_base64url(body["data"])
        if body.get("attachmentId"):
            if self._load is not None:
                return self._load(self._message_id, str(body["attachmentId"]))
            self.is_whole = False
        return b""


def from_base64url(data: Any) -> bytes:
    """The bytes in `data`, padded or not. Raises ItemUnreadable when it is something else."""
    try:
        raw = str(data).encode("ascii")
        return base64.urlsafe_b64decode(raw + b"=" * (-len(raw) % 4))
    except (UnicodeEncodeError, binascii.Error) as error:
        raise ItemUnreadable(_UNREADABLE) from error


def _people(values: list[str]) -> tuple[Person, ...]:
    return tuple(
        Person(address.strip().lower(), " ".join(name.split()))
        for name, address in getaddresses(values)
        if "@" in address
    )


def _decoded(value: str) -> str:
    if "=?" not in value:
        return value
    try:
        return str(make_header(decode_header(value)))
    except (MessageError, LookupError, ValueError):
        return value


def _charset(part: Mapping[str, Any]) -> Iterator[str]:
    """The encodings to try in turn. Gmail hands out UTF-8 whatever the message says; not always."""
    yield "utf-8"
    for header in part.get("headers") or ():
        if str(header.get("name")).lower() == "content-type":
            _, _, named = str(header.get("value")).lower().partition("charset=")
            if named:
                yield named.partition(";")[0].strip(" \"'")
    yield "cp1252"


def _characters(data: bytes, encodings: Iterator[str]) -> str:
    for encoding in encodings:
        try:
            return data.decode(encoding)
        except (LookupError, ValueError):
            continue
    return data.decode("utf-8", errors="replace")
