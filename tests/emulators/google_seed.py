"""What the emulated Google contains: the mail and the files of a small team that runs a service on Postgres.

Every thread and every file has one sentence that no other has, for tests that search for it.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any, Final

USER: Final = "ann@example.org"
COLLEAGUE: Final = "bob@example.org"
LABEL_ON_CALL: Final = "Label_oncall"
#: No user of the tests: the emulator takes unknown tokens for the first user it has.
_STRANGER: Final = "nobody@example.org"
_FIRST_DAY: Final = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
#: Tokens that each user has from the beginning.
TOKENS: Final = 50
FOLDER: Final = "application/vnd.google-apps.folder"

_SUBJECTS: Final = (
    "Connection pool",
    "Backup window",
    "Index on orders",
    "Slow checkpoint",
    "Replica lag",
    "Vacuum settings",
    "Certificate renewal",
    "Release on Thursday",
)


@dataclass(frozen=True, slots=True)
class Mail:
    """A message. `attachments`: (file name, type, content)."""

    id: str
    thread: str
    subject: str
    text: str
    date: str
    sender: str = f"Ann Lee <{USER}>"
    to: str = f"Bob Ray <{COLLEAGUE}>"
    labels: tuple[str, ...] = ("INBOX",)
    attachments: tuple[tuple[str, str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class File:
    """A file or folder of a Drive."""

    id: str
    name: str
    mime_type: str = "text/markdown"
    parent: str = "root"
    text: str = ""


@dataclass(frozen=True, slots=True)
class Seed:
    """Everything there is at the emulated Google, all of it `USER`'s."""

    mails: tuple[Mail, ...] = ()
    files: tuple[File, ...] = ()


def mail_seed(threads: int) -> Seed:
    """So many threads of two messages; every tenth has a text file attached, every seventh is about being on call."""
    return Seed(mails=tuple(mail for number in range(threads) for mail in _thread(number)))


def drive_seed(files: int) -> Seed:
    """So many files in folders of fifty, two of which are pictures."""
    made = [File("folder_runbooks", "Runbooks", FOLDER)]
    for number in range(files):
        if number % 50 == 0:
            made.append(File(f"folder_{number}", f"Part {number // 50}", FOLDER, "folder_runbooks"))
        text = f"# Runbook {number}\n\n{file_sentence(number)}\n"
        made.append(
            File(f"file_{number}", f"runbook-{number}.md", parent=f"folder_{number // 50 * 50}", text=text)
        )
    made += [File(f"picture_{n}", f"picture-{n}.png", "image/png", text="no words") for n in range(2)]
    return Seed(files=tuple(made))


def thread_sentence(number: int) -> str:
    """What only the thread `number` says."""
    return f"Ticket {number} is settled once the limit is {number + 100}."


def file_sentence(number: int) -> str:
    """What only the file `number` says."""
    return f"Step {number} restarts the worker called w{number}."


def seed_file(seed: Seed, client: Mapping[str, Any]) -> Mapping[str, Any]:
    """The seed as the emulator reads it."""
    users = (_STRANGER, USER)
    return {
        "tokens": {
            token_of(email, number): {"login": email, "scopes": []}
            for email in users
            for number in range(TOKENS)
        },
        "google": {
            "users": [{"email": email, "name": email.partition("@")[0].title()} for email in users],
            "oauth_clients": [client],
            "labels": [{"id": LABEL_ON_CALL, "user_email": USER, "name": "On call"}],
            "messages": [
                {
                    "id": mail.id,
                    "thread_id": mail.thread,
                    "user_email": USER,
                    "raw": base64.urlsafe_b64encode(raw_mail(mail)).decode(),
                    "label_ids": list(mail.labels),
                }
                for mail in seed.mails
            ],
            "drive_items": [
                {
                    "id": file.id,
                    "user_email": USER,
                    "name": file.name,
                    "mime_type": file.mime_type,
                    "parent_ids": [file.parent],
                    **({"data": file.text} if file.text else {}),
                }
                for file in seed.files
            ],
        },
    }


def raw_mail(mail: Mail) -> bytes:
    """A message as it goes over the wire."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = mail.sender, mail.to, mail.subject
    message["Date"], message["Message-ID"] = mail.date, f"<{mail.id}@example.org>"
    message.set_content(mail.text)
    for name, mime, content in mail.attachments:
        main, _, sub = mime.partition("/")
        message.add_attachment(content, maintype=main, subtype=sub, filename=name)
    return message.as_bytes()


def token_of(email: str, number: int = 0) -> str:
    """One of the `TOKENS` seeded tokens of a user."""
    return f"seeded-{email.partition('@')[0]}-{number}"


def _thread(number: int) -> tuple[Mail, Mail]:
    subject = f"{_SUBJECTS[number % len(_SUBJECTS)]} {number}"
    asked = _FIRST_DAY + timedelta(hours=number)
    question = f"Hello Bob,\n\nwhat do we do about {subject.lower()}?\n\nRegards,\n-- \nAnn"
    quoted = "\n".join(f"> {line}".rstrip() for line in question.split("\n"))
    answer = f"{thread_sentence(number)}\n\nOn {asked:%d %b %Y}, Ann Lee <{USER}> wrote:\n\n{quoted}\n"
    labels = (LABEL_ON_CALL,) if number % 7 == 0 else ()
    notes = (("notes.txt", "text/plain", f"Notes on {subject}.\n".encode()),) if number % 10 == 0 else ()
    return (
        Mail(
            f"m{number}a", f"t{number}", subject, question, format_datetime(asked), labels=("SENT", *labels)
        ),
        Mail(
            f"m{number}b",
            f"t{number}",
            f"Re: {subject}",
            answer,
            format_datetime(asked + timedelta(minutes=30)),
            sender=f"Bob Ray <{COLLEAGUE}>",
            to=f"Ann Lee <{USER}>",
            labels=("INBOX", *labels),
            attachments=notes,
        ),
    )
