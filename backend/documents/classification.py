"""What a document is taken for, by rules: work, personal, spam or unknown.

Rules look at what a source says about a document (labels, who wrote to whom), never at what its text is about: words
of one language say nothing about a text in another, and a letter about a birthday may be work. Only mail is ever taken
for personal or spam, because both hide a document from search: whatever is not certain stays `unknown`, and is found.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

WORK: Final = "work"
PERSONAL: Final = "personal"
SPAM: Final = "spam"
UNKNOWN: Final = "unknown"

#: Below it a person is asked to look.
SURE: Final = 0.7

_MAIL: Final = frozenset({"email", "gmail", "outlook"})
_CHAT: Final = frozenset({"slack", "teams"})

#: Names of mail folders and labels, whole, as mail programs and people call them in the languages most mail is in.
_SPAM_LABELS: Final = frozenset(
    {"spam", "junk", "junk e-mail", "junk email", "junk-e-mail", "courrier indésirable", "pourriel", "indésirables",
     "correo no deseado", "posta indesiderata", "lixo eletrônico", "lixo eletrónico", "ongewenste e-mail", "skräppost",
     "roskaposti", "wiadomości-śmieci", "nevyžádaná pošta", "спам", "迷惑メール", "垃圾邮件", "垃圾郵件", "스팸", "스팸함"}
)  # fmt: skip
_PERSONAL_LABELS: Final = frozenset(
    {"personal", "private", "privat", "privé", "personnel", "personale", "privato", "privado", "pessoal", "prywatne",
     "persoonlijk", "soukromé", "личное", "個人", "プライベート", "私人", "个人", "개인"}
)  # fmt: skip
_WORK_LABELS: Final = frozenset(
    {"work", "arbeit", "travail", "trabajo", "lavoro", "trabalho", "werk", "arbete", "praca", "práce",
     "работа", "仕事", "工作", "업무"}
)  # fmt: skip
_PROMOTIONS: Final = frozenset({"category_promotions", "promotions"})

#: Domains under which anybody has an address: two people there are no organisation.
_PUBLIC_MAIL: Final = frozenset(
    {"gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "live.com", "msn.com", "yahoo.com", "ymail.com",
     "aol.com", "icloud.com", "me.com", "mac.com", "gmx.de", "gmx.net", "gmx.at", "gmx.ch", "gmx.com", "web.de",
     "t-online.de", "freenet.de", "mail.com", "proton.me", "protonmail.com", "pm.me", "fastmail.com", "tutanota.com",
     "posteo.de", "mailbox.org", "orange.fr", "free.fr", "laposte.net", "wanadoo.fr", "libero.it", "virgilio.it",
     "mail.ru", "yandex.ru", "bk.ru", "list.ru", "inbox.ru", "qq.com", "163.com", "126.com", "sina.com", "naver.com",
     "daum.net", "hanmail.net", "wp.pl", "o2.pl", "onet.pl", "interia.pl", "seznam.cz", "uol.com.br", "bol.com.br",
     "terra.com.br", "zoho.com", "btinternet.com", "comcast.net", "verizon.net", "att.net", "cox.net"}
)  # fmt: skip
#: What spam filters put before the subject.
_SPAM_SUBJECT: Final = re.compile(r"\s*(?:\[\s*spam\s*\]|\*{2,}\s*spam\s*\*{2,}|\{spam\??\})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Classified:
    """`confidence` 0 to 1; `reason` for a person."""

    classification: str
    confidence: float
    reason: str


def classify(*, source_type: str, title: str, author: str | None, metadata: Mapping[str, Any]) -> Classified:
    """What the document is taken for, by what its source says about it."""
    if source_type in _MAIL:
        return _mail(title, author or "", metadata)
    if source_type in _CHAT:
        if metadata.get("is_private"):
            return Classified(UNKNOWN, 0.5, "It was said in a private conversation.")
        return Classified(WORK, 0.8, "It was said in a channel of the workspace.")
    return Classified(WORK, 0.9, "It comes from a source that holds work.")


def _mail(title: str, author: str, metadata: Mapping[str, Any]) -> Classified:
    # Labels may be nested: "Family/Private" has two names.
    labels = {
        name.strip() for label in _texts(metadata.get("labels")) for name in label.casefold().split("/")
    }
    if labels & _SPAM_LABELS:
        return Classified(SPAM, 0.95, "The mailbox keeps it as spam.")
    if _SPAM_SUBJECT.match(title):
        return Classified(SPAM, 0.8, "A spam filter has marked its subject.")
    is_personal, is_work = bool(labels & _PERSONAL_LABELS), bool(labels & _WORK_LABELS)
    if is_personal and is_work:
        return Classified(UNKNOWN, 0.5, "Its labels say both personal and work.")
    if is_personal:
        return Classified(PERSONAL, 0.85, "Its owner has labelled it as personal.")
    if is_work:
        return Classified(WORK, 0.85, "Its owner has labelled it as work.")
    if labels & _PROMOTIONS:
        return Classified(UNKNOWN, 0.4, "The mailbox counts it among advertising.")
    sender = _domain(author)
    if sender and sender not in _PUBLIC_MAIL:
        people = [*_texts(metadata.get("recipients")), *_texts(metadata.get("participants"))]
        others = [address for address in people if address.casefold() != author.casefold()]
        if any(_domain(address) == sender for address in others):
            return Classified(WORK, 0.75, "It was written between people of one organisation.")
    return Classified(UNKNOWN, 0.5, "Nothing says whether it is work.")


def _texts(value: object) -> Iterable[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list | tuple) else []


def _domain(address: str) -> str:
    _, at, domain = address.casefold().rpartition("@")
    return domain.strip("> ") if at else ""
