"""How far a pass over a website is."""

import hashlib
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Self

from backend.connectors.providers.contract import JSON, CursorExpired

VERSION: Final = 1
#: Addresses that are asked for at most, for each document that may be kept: pages that are not to be kept, redirects
#: and links that lead nowhere cost requests too.
REQUESTS_PER_PAGE: Final = 4


@dataclass(slots=True)
class Task:
    """An address to be asked for."""

    url: str
    depth: int
    """Links between it and the start page."""
    changed: str | None = None
    """Date of its last change, as a sitemap says."""
    tries: int = 0
    is_known: bool = False
    """Whether it was a document when the last pass ended."""
    validator: str | None = None
    """What it was then: `etag …` or `date …`, to ask for it only if it has changed."""
    misses: int = 0
    """Passes in a row that did not find it there."""

    def to_json(self) -> list[JSON]:
        """This as a short list; what is as at the beginning is left out at its end."""
        parts: list[JSON] = [
            self.url, self.depth, self.changed, self.tries, self.is_known, self.validator, self.misses,
        ]  # fmt: skip
        while len(parts) > 2 and parts[-1] in (None, 0, False):
            parts.pop()
        return parts


@dataclass(slots=True)
class Position:
    """A place in a pass. Changes as the pass goes on; `to_cursor` is what it was at one moment."""

    choice: str
    """Which settings the pass is about."""
    most: int
    """Documents to keep."""
    is_full: bool = True
    is_over: bool = False
    hosts: set[str] = field(default_factory=set)
    """Hosts that belong to the website."""
    is_started: bool = False
    """Whether the start page and the sitemap have been read."""
    first: deque[Task] = field(default_factory=deque)
    """What is asked for before anything else."""
    left: deque[Task] = field(default_factory=deque)
    documents: dict[str, Task] = field(default_factory=dict)
    """What this pass has found so far, by key; what the next one asks for again."""
    seen: set[str] = field(default_factory=set)
    """Marks of all addresses that are left, or were asked for."""
    asked: int = 0
    """Requests so far."""
    waits: int = 0
    """Times in a row that the site asked to wait."""
    resume_at: datetime | None = None
    """When the next request may be sent, if that is long from now."""

    def add(self, key: str, task: Task, *, is_first: bool = False) -> bool:
        """Remembers an address to ask for, unless it was or will be, or there are too many. Whether it does."""
        mark = mark_of(key)
        if mark in self.seen or self.room <= 0:
            return False
        self.seen.add(mark)
        (self.first if is_first else self.left).append(task)
        return True

    @property
    def room(self) -> int:
        """How many addresses more can be remembered."""
        return self.most * REQUESTS_PER_PAGE - self.asked - len(self.first) - len(self.left)

    def take(self) -> Task | None:
        """The next address to ask for; None when the pass is over."""
        if self.asked >= self.most * REQUESTS_PER_PAGE:
            return None
        is_complete = self.is_complete
        for queue in (self.first, self.left):
            # Once there are enough documents, only those that were there before are looked at.
            task = next((task for task in queue if task.is_known or not is_complete), None)
            if task is not None:
                queue.remove(task)
                self.asked += 1
                return task
        return None

    def put_back(self, task: Task, *, at_end: bool = False) -> None:
        """The address was not asked for after all, or is to be asked for again."""
        self.asked -= 1
        if at_end:
            self.left.append(task)
        else:
            self.first.appendleft(task)

    def is_waiting(self, url: str) -> bool:
        """Whether that very address is still to be asked for."""
        return any(task.url == url for task in (*self.first, *self.left))

    def see(self, key: str) -> None:
        """The page need not be asked for: another address has led to it."""
        self.seen.add(mark_of(key))

    @property
    def is_complete(self) -> bool:
        """Whether no more documents may be added."""
        waiting = sum(task.is_known for task in (*self.first, *self.left))
        return len(self.documents) + waiting >= self.most

    def next_pass(self) -> dict[str, Task]:
        """Begins the pass of changes that comes after this one. The documents there were, by key."""
        known = {
            key: Task(t.url, t.depth, t.changed, 0, True, t.validator, t.misses)
            for key, t in self.documents.items()
        }
        self.is_full = self.is_over = self.is_started = False
        self.first, self.left, self.documents, self.seen = deque(), deque(), {}, set()
        self.asked = self.waits = 0
        return known

    def to_cursor(self) -> Mapping[str, JSON]:
        """This as JSON. At the end of a pass only what the next one needs."""
        return {
            "version": VERSION,
            "choice": self.choice,
            "most": self.most,
            "is_full": self.is_full,
            "is_over": self.is_over,
            "hosts": sorted(self.hosts),
            "is_started": self.is_started,
            "first": [] if self.is_over else [task.to_json() for task in self.first],
            "left": [] if self.is_over else [task.to_json() for task in self.left],
            "documents": [[key, *task.to_json()] for key, task in self.documents.items()],
            "seen": [] if self.is_over else sorted(self.seen),
            "asked": self.asked,
            "waits": self.waits,
            "resume_at": self.resume_at.isoformat() if self.resume_at else None,
        }

    @classmethod
    def from_cursor(cls, cursor: Mapping[str, Any]) -> Self:
        """The place `to_cursor` wrote down. Raises `CursorExpired` for anything else."""
        try:
            if cursor["version"] != VERSION:
                raise CursorExpired
            return cls(
                choice=str(cursor["choice"]),
                most=int(cursor["most"]),
                is_full=bool(cursor["is_full"]),
                is_over=bool(cursor["is_over"]),
                hosts=set(cursor["hosts"]),
                is_started=bool(cursor["is_started"]),
                first=deque(_task(parts) for parts in cursor["first"]),
                left=deque(_task(parts) for parts in cursor["left"]),
                documents={str(parts[0]): _task(parts[1:]) for parts in cursor["documents"]},
                seen=set(cursor["seen"]),
                asked=int(cursor["asked"]),
                waits=int(cursor["waits"]),
                resume_at=datetime.fromisoformat(cursor["resume_at"]) if cursor["resume_at"] else None,
            )
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise CursorExpired from error


def mark_of(key: str) -> str:
    """A short name for a page that has been seen; two pages of a site share one never in practice."""
    return hashlib.sha256(key.encode()).hexdigest()[:12]


def choice_of(parts: Iterable[object]) -> str:
    """A short name for settings that decide what a pass shows."""
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:16]


def _task(parts: Sequence[Any]) -> Task:
    return Task(str(parts[0]), int(parts[1]), *parts[2:])
