"""E-mail messages (RFC 5322): who, when, about what, and the part a person reads."""

import email
import email.policy
from dataclasses import dataclass
from email.message import EmailMessage, MIMEPart
from typing import Final

from backend.documents.parsing.decoding import decode

_SHOWN_HEADERS: Final = ("Subject", "From", "To", "Cc", "Date")


@dataclass(frozen=True, slots=True)
class Mail:
    """`head` holds the headers worth searching in, one per line; `body` is HTML or plain text."""

    subject: str
    head: str
    body: str
    is_html: bool
    attachments: tuple[str, ...]


def read_mail(data: bytes) -> Mail:
    """The message in `data`; malformed headers and unknown encodings cost their part, never the message."""
    message = email.message_from_bytes(data, policy=email.policy.default)
    shown = ((name, _header(message, name)) for name in _SHOWN_HEADERS)
    plain = message.get_body(("plain",))
    html = message.get_body(("html",))
    body = _content(plain)
    # Some senders put a mere "this message is in HTML" or nothing into the plain part.
    is_html = html is not None and len(body.split()) < 12
    if is_html and html is not None:
        body = _content(html)
    return Mail(
        subject=_header(message, "Subject"),
        head="\n".join(f"{name}: {value}" for name, value in shown if value),
        body=body,
        is_html=is_html,
        attachments=tuple(name for part in message.iter_attachments() if (name := part.get_filename())),
    )


def _header(message: EmailMessage, name: str) -> str:
    try:
        return " ".join(str(message[name] or "").split())
    except (ValueError, IndexError, AttributeError, TypeError, LookupError):
        # The standard library's header parser fails on some malformed headers instead of recording a defect.
        return ""


def _content(part: MIMEPart | None) -> str:
    payload = part.get_payload(decode=True) if part is not None else None
    if part is None or not isinstance(payload, bytes):
        return ""
    return decode(payload, declared=part.get_content_charset())
