"""What a sync does with a source, as far as a source's tests need it: keeps documents, reads what is different."""

import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from backend.connectors.providers.contract import (
    Credentials,
    CursorExpired,
    Entry,
    ItemFailure,
    ItemGone,
    Opening,
    Page,
    SourceItem,
)
from backend.connectors.providers.provider import Provider

TOKEN = "token-never-to-be-seen"


def opening(
    provider: Provider, api_base: str, settings: Mapping[str, Any], *, scopes: tuple[str, ...] = ()
) -> Opening:
    """What a worker would open a source with."""
    validated = provider.settings_model.model_validate(settings).model_dump()
    return Opening(validated, Credentials(TOKEN, None, None, scopes, "bearer"), api_base)


def read_pages(provider: Provider, opened: Opening, cursor: Mapping[str, Any] | None) -> list[Page]:
    """All pages of a pass, from a source of its own, as another process would have it."""
    with closing(provider.open_source(opened)) as source:
        return list(source.pages(json.loads(json.dumps(cursor)) if cursor else None))


def shown(pages: list[Page]) -> list[str]:
    """External ids of the entries, in order."""
    return [entry.external_id for page in pages for entry in page.entries]


@dataclass
class Mirror:
    """The documents of one connector after some syncs."""

    provider: Provider
    opening: Opening
    documents: dict[str, SourceItem] = field(default_factory=dict)
    revisions: dict[str, str | None] = field(default_factory=dict)
    missed: dict[str, int] = field(default_factory=dict)
    cursor: Mapping[str, Any] | None = None
    reads: list[str] = field(default_factory=list)
    """What the last sync read."""
    failures: list[ItemFailure] = field(default_factory=list)
    full_passes: int = 0

    def sync(self) -> "Mirror":
        """One pass; one over everything when the cursor has expired."""
        self.reads, self.failures = [], []
        try:
            self._pass()
        except CursorExpired:
            self.cursor = None
            self._pass()
        return self

    def titles(self) -> dict[str, str]:
        """Content by path."""
        return {
            "/".join(filter(None, (str(item.metadata["folder_path"]), item.title))): item.body.decode()
            for item in self.documents.values()
        }

    def _pass(self) -> None:
        is_full, seen = self.cursor is None, set[str]()
        self.full_passes += is_full
        with closing(self.provider.open_source(self.opening)) as source:
            for page in source.pages(self.cursor):
                assert page.is_full == is_full
                for entry in page.entries:
                    seen.add(entry.external_id)
                    if entry.revision is None or self.revisions.get(entry.external_id) != entry.revision:
                        self._read(source.read, entry)
                for gone in page.gone:
                    self._drop(gone)
                self.failures += page.failures
                self.cursor = json.loads(json.dumps(page.cursor))
        if is_full and not self.failures:
            for external_id in set(self.documents) - seen:
                self.missed[external_id] = self.missed.get(external_id, 0) + 1
                if self.missed[external_id] == 2:
                    self._drop(external_id)

    def _read(self, read: Any, entry: Entry) -> None:
        self.reads.append(entry.title)
        try:
            self.documents[entry.external_id] = read(entry)
        except ItemGone:
            return self._drop(entry.external_id)
        self.revisions[entry.external_id] = entry.revision
        self.missed.pop(entry.external_id, None)
        return None

    def _drop(self, external_id: str) -> None:
        self.documents.pop(external_id, None)
        self.revisions.pop(external_id, None)
