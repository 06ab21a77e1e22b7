"""What the tests of the GitHub source share: a pass, with everything it lists read."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from backend.connectors.providers.contract import (
    Entry,
    ItemFailure,
    ItemGone,
    ItemUnreadable,
    NothingToRead,
    Page,
    Source,
    SourceItem,
)
from backend.connectors.providers.github.source import GitHubSource


@dataclass(frozen=True, slots=True)
class Pass:
    """A pass that has come to its end, or to the page it was stopped at."""

    pages: Sequence[Page]
    items: Mapping[str, SourceItem] = field(default_factory=dict)
    unreadable: Mapping[str, str] = field(default_factory=dict)
    """Reasons by external id."""
    vanished: frozenset[str] = frozenset()
    empty: frozenset[str] = frozenset()

    @property
    def entries(self) -> list[Entry]:
        """Everything listed, in order."""
        return [entry for page in self.pages for entry in page.entries]

    @property
    def ids(self) -> list[str]:
        """External ids of everything listed, in order."""
        return [entry.external_id for entry in self.entries]

    @property
    def gone(self) -> list[str]:
        """External ids of everything said to be deleted."""
        return [external_id for page in self.pages for external_id in page.gone]

    @property
    def failures(self) -> list[ItemFailure]:
        """What could not be listed."""
        return [failure for page in self.pages for failure in page.failures]

    @property
    def cursor(self) -> Mapping[str, Any]:
        """Where the next pass begins."""
        return self.pages[-1].cursor


def make_source(
    base_url: str,
    token: str,
    settings: Mapping[str, Any] | None = None,
    *,
    page_size: int = 20,
) -> GitHubSource:
    """A source of small pages, so that a few items need several."""
    return GitHubSource(token, settings or {}, api_base=base_url, page_size=page_size)


def listing(source: Source, since: Mapping[str, Any] | None = None) -> Pass:
    """A pass that reads nothing."""
    with closing(source):
        return Pass(list(source.pages(since)))


def reading(source: Source, since: Mapping[str, Any] | None = None) -> Pass:
    """A pass, with everything it lists read."""
    with closing(source):
        pages, items, unreadable, vanished, empty = [], {}, {}, set(), set()
        for page in source.pages(since):
            pages.append(page)
            for entry in page.entries:
                try:
                    items[entry.external_id] = source.read(entry)
                except ItemUnreadable as error:
                    unreadable[entry.external_id] = error.message
                except ItemGone:
                    vanished.add(entry.external_id)
                except NothingToRead:
                    empty.add(entry.external_id)
        return Pass(pages, items, unreadable, frozenset(vanished), frozenset(empty))
