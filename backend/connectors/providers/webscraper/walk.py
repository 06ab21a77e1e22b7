"""What follows from each page of a pass: what is shown of it, and where to go on."""

import time
from dataclasses import dataclass, field
from typing import Final

import httpx2

from backend.connectors.providers.contract import Entry, ItemFailure, ItemUnreadable, Page, ProviderRefused
from backend.connectors.providers.file_types import document_type
from backend.connectors.providers.webscraper import WebSettings
from backend.connectors.providers.webscraper.items import entry_of, refused_entry
from backend.connectors.providers.webscraper.names import (
    host_of,
    is_below,
    is_trap,
    key_of,
    may_be_document,
    tidy,
)
from backend.connectors.providers.webscraper.position import Position, Task
from backend.connectors.providers.webscraper.site import Site
from backend.connectors.providers.webscraper.sitemap import read_sitemaps
from backend.connectors.providers.webscraper.visit import Visit

PAGE_ENTRIES: Final = 10
PAGE_BYTES: Final = 4 * 1024 * 1024
PAGE_SECONDS: Final = 5.0
#: Passes in a row that must miss a page (404) before it counts as deleted.
MISSES: Final = 2


@dataclass(slots=True)
class Shown:
    """What the next page of the pass will show."""

    entries: list[Entry] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    failures: list[ItemFailure] = field(default_factory=list)
    byte_size: int = 0
    began_at: float = field(default_factory=time.monotonic)

    @property
    def is_enough(self) -> bool:
        """Whether it is time for a checkpoint."""
        return (
            len(self.entries) >= PAGE_ENTRIES
            or self.byte_size >= PAGE_BYTES
            or time.monotonic() - self.began_at >= PAGE_SECONDS
        )

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to show yet."""
        return not (self.entries or self.gone or self.failures)

    def to_page(self, at: Position) -> Page:
        """This as a page of the contract."""
        return Page(
            cursor=at.to_cursor(),
            entries=tuple(self.entries),
            gone=tuple(self.gone),
            failures=tuple(self.failures),
            is_full=at.is_full,
            note=min(at.hosts, default=None),
        )


class Walk:
    """One pass. `shown` is what it has found since it was last taken."""

    def __init__(self, site: Site, settings: WebSettings, start: httpx2.URL, at: Position) -> None:
        self._site = site
        self._settings = settings
        self._start = start
        self._at = at
        self.shown = Shown()

    def begin(self, known: dict[str, Task]) -> None:
        """Puts down where a pass begins: the start page, the chosen paths, and what was `known`, by key."""
        at, key = self._at, key_of(self._start)
        at.hosts = {host_of(self._start), *self._settings.allowed_hosts}
        at.hosts |= {host_of(httpx2.URL(task.url)) for task in known.values()}
        at.add(key, known.get(key) or Task(str(self._start), 0), is_first=True)
        for path in self._settings.priority_paths:
            target = tidy(path, self._start)
            if target is not None and key_of(target) not in known:
                self._add(target, Task(str(target), 0))
        for key, task in known.items():
            at.add(key, task, is_first=self._is_first(httpx2.URL(task.url)))

    def look(self, task: Task) -> None:
        """Asks for one page and deals with what is there.

        Raises `RateLimited`, `ProviderUnavailable`, and `ProviderRefused` if it is the start page that cannot be had.
        """
        at, url = self._at, httpx2.URL(task.url)
        is_start = not at.is_started
        if not self._site.rules_of(url).allows(url):
            if is_start:
                raise ProviderRefused("The site's robots.txt does not allow to read the start page.")
            self._drop(task)
            return
        found = self._site.visit(task, is_start=is_start)
        if is_start:
            if found.outcome in ("missing", "gone", "refused", "moved"):
                raise ProviderRefused(f"The start page cannot be read. {found.reason}".strip())
            at.is_started = True
            at.hosts.add(host_of(found.url))
        self._deal_with(task, found)
        if task.depth < self._settings.max_depth:
            for link in found.links:
                self._follow(link, task.depth + 1)
        if is_start:
            self._read_sitemaps(found.url)

    def _deal_with(self, task: Task, found: Visit) -> None:
        key, at = key_of(httpx2.URL(task.url)), self._at
        match found.outcome:
            case "document":
                self._show(task, found)
            case "unchanged":
                at.documents[key] = task
            case "missing" if task.is_known and task.misses + 1 < MISSES:
                at.documents[key] = Task(task.url, task.depth, task.changed, misses=task.misses + 1)
            case "refused":
                self.shown.entries.append(refused_entry(found.url, task, ItemUnreadable(found.reason)))
                self.keep(task)
            case "moved":
                target = tidy(found.target or "")
                if target is not None:
                    self._add(target, Task(str(target), task.depth, task.changed))
                self._drop(task)
            case _:
                self._drop(task)

    def _show(self, task: Task, found: Visit) -> None:
        at, key = self._at, key_of(found.url)
        item = found.item
        if item is None or key in at.documents:
            return
        if found.target is not None and self._is_known_elsewhere(key, found.target, task):
            self._drop(task)
            return
        at.see(key)
        at.documents[key] = Task(str(found.url), task.depth, task.changed, validator=found.validator)
        self.shown.entries.append(entry_of(item, task))
        self.shown.byte_size += len(item.body)

    def _is_known_elsewhere(self, key: str, canonical: str, task: Task) -> bool:
        """Whether the page wants to be known under another address of the site, which is or will be read."""
        at, target = self._at, tidy(canonical)
        if target is None or key_of(target) == key or host_of(target) not in at.hosts:
            return False
        if key_of(target) in (key_of(self._start), f"{host_of(target)}/"):
            # A template that says so on every page; believed, it would leave one page of the whole site.
            return False
        if key_of(target) in at.documents or at.is_waiting(str(target)):
            return True
        # Asked for already and no document (two pages that each name the other), or not to be had: then this one is.
        return self._add(target, Task(str(target), task.depth, task.changed))

    def keep(self, task: Task) -> None:
        """Nothing is known about it now: what was a document stays one."""
        if task.is_known:
            key = key_of(httpx2.URL(task.url))
            self._at.documents[key] = Task(task.url, task.depth, task.changed, validator=task.validator)

    def _drop(self, task: Task) -> None:
        """What was a document is none any more: the site itself says so."""
        if task.is_known:
            self.shown.gone.append(key_of(httpx2.URL(task.url)))

    def _follow(self, link: str, depth: int, changed: str | None = None) -> None:
        target = tidy(link)
        if target is not None:
            self._add(target, Task(str(target), depth, changed))

    def _add(self, url: httpx2.URL, task: Task) -> bool:
        """Whether the page belongs to the website and is now to be asked for."""
        if url.scheme == "http" and self._start.scheme == "https" and url.port is None:
            url = url.copy_with(scheme="https")
            task.url = str(url)
        if host_of(url) not in self._at.hosts or is_trap(url) or not may_be_document(url):
            return False
        kind = document_type(url.path.rpartition("/")[2])
        if kind is not None and not kind.startswith("text/") and not self._settings.include_pdfs:
            return False
        return self._at.add(key_of(url), task, is_first=self._is_first(url))

    def _is_first(self, url: httpx2.URL) -> bool:
        return is_below(url, self._settings.priority_paths)

    def _read_sitemaps(self, start: httpx2.URL) -> None:
        declared = self._site.rules_of(start).sitemaps
        addresses = list(declared) or [str(start.copy_with(path="/sitemap.xml", query=None))]

        def may_read(address: str) -> bool:
            target = tidy(address)
            if target is None or not (host_of(target) in self._at.hosts or address in declared):
                return False
            self._site.wait(target)
            return self._site.rules_of(target).allows(target)

        most = self._at.room
        for number, (address, changed) in enumerate(
            read_sitemaps(self._site.fetcher, addresses, may_read=may_read)
        ):
            if number >= most * 10 or self._at.room <= 0:
                break
            self._follow(address, 1, changed)
