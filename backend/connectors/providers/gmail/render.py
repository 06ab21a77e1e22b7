"""A thread as Markdown: what it is about, who takes part, and every message with its author and date.

The same messages always give the same bytes; labels, and whether somebody has read it, are not in the text.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from backend.connectors.providers.gmail.quotes import Said, trim
from backend.connectors.providers.gmail.threads import Message, Person

NO_SUBJECT: Final = "(no subject)"
#: Lines that Markdown would take for a heading, the underline of one, or the beginning of code that never ends.
_MEANT_OTHERWISE = re.compile(
    r"(?m)^([ ]{0,3}(?:>[ ]?)*[ ]{0,3})(#{1,6}(?=[ \t]|$)|=+[ \t]*$|-+[ \t]*$|`{3,}|~{3,})"
)
_MANY: Final = 100


def title_of(messages: Sequence[Message]) -> str:
    """The subject of the first message that has one."""
    return next((message.subject for message in messages if message.subject), NO_SUBJECT)


def participants(messages: Sequence[Message]) -> list[Person]:
    """Everybody who wrote or was written to, once each, in the order they appear; at most a hundred."""
    found: dict[str, Person] = {}
    for message in messages:
        for person in (message.sender, *message.recipients):
            if person.address and (person.address not in found or not found[person.address].name):
                found[person.address] = person
    return list(found.values())[:_MANY]


def thread(messages: Sequence[Message]) -> str:
    """The messages of a thread, oldest first, as Markdown."""
    count = f"{len(messages)} messages" if len(messages) > 1 else "One message"
    days = sorted({_day(messages[0].sent_at), _day(messages[-1].sent_at)})
    people = ", ".join(map(str, participants(messages)))
    blocks = [f"# {title_of(messages)}", f"{count}, {' to '.join(days)}.\nParticipants: {people}"]
    said = Said()
    for message in messages:
        blocks += _message(message, trim(message.text, said))
        said.add(message.text)
    return "\n\n".join(blocks) + "\n"


def _message(message: Message, text: str) -> list[str]:
    sender = message.sender.name or message.sender.address or "Unknown sender"
    facts = [f"From: {message.sender}"] if message.sender.address else []
    if message.recipients:
        facts.append("To: " + ", ".join(map(str, message.recipients[:_MANY])))
    if message.attachments:
        facts.append("Attachments: " + ", ".join(attachment.file_name for attachment in message.attachments))
    blocks = [f"## {sender}, {message.sent_at:%Y-%m-%d %H:%M} UTC", "\n".join(facts), _as_markdown(text)]
    return [block for block in blocks if block.strip()]


def _as_markdown(text: str) -> str:
    """Plain text whose lines mean in Markdown what they meant in the mail."""
    return _MEANT_OTHERWISE.sub(r"\1\\\2", text)


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"
