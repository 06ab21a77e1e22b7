"""Which threads are synced, and which of their messages."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self

from backend.connectors.providers.gmail.threads import Message, Thread

#: Messages with one of these are no part of any document.
NEVER: Final = frozenset({"CHAT", "DRAFT", "SPAM", "TRASH"})
#: Come and go with every look at the mailbox and say nothing about the thread.
PASSING: Final = frozenset({"UNREAD"})


@dataclass(frozen=True, slots=True)
class Scope:
    """The connector's settings, as questions to a thread. Most are asked of Gmail as well, in `search`, so that it
    does not list in vain; what counts is asked here, where it is the same for a full pass and for changes."""

    include: tuple[str, ...]
    exclude: frozenset[str]
    categories: frozenset[str]
    query: str
    max_age: timedelta | None

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """The scope that validated settings describe."""
        days = settings.get("max_age_days")
        return cls(
            include=tuple(settings.get("include_labels") or ()),
            exclude=frozenset(settings.get("exclude_labels") or ()),
            categories=frozenset(
                f"CATEGORY_{name.upper()}" for name in settings.get("skip_categories") or ()
            ),
            query=str(settings.get("query") or "").strip(),
            max_age=timedelta(days=days) if days else None,
        )

    @property
    def search(self) -> str:
        """What Gmail is asked for; the same in every page of a pass, since its page tokens hold for one search."""
        terms = [f"-category:{label.removeprefix('CATEGORY_').lower()}" for label in sorted(self.categories)]
        if self.max_age:
            terms.append(f"newer_than:{self.max_age.days}d")
        if self.query:
            terms.append(f"({self.query})")
        return " ".join(terms)

    def kept(self, thread: Thread) -> tuple[Message, ...]:
        """The messages of a thread that are synced; none when the whole thread is left out. Whether it matches the
        query, only Gmail can tell."""
        kept = tuple(message for message in thread.messages if not message.label_ids & NEVER)
        if not kept or any(message.label_ids & self.exclude for message in thread.messages):
            return ()
        if self.include and not any(message.label_ids.intersection(self.include) for message in kept):
            return ()
        if self.categories and all(message.label_ids & self.categories for message in kept):
            return ()
        if self.max_age and kept[-1].sent_at < datetime.now(UTC) - self.max_age:
            return ()
        return kept
