"""Lists and reads the articles that a search in PubMed finds.

Each pass searches anew: what a search finds changes with new articles, and PubMed has no list of what has left it.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from backend.connectors.providers.contract import (
    JSON,
    CursorExpired,
    Entry,
    ItemGone,
    Opening,
    Page,
    SourceItem,
)
from backend.connectors.providers.pubmed import PubMedSettings
from backend.connectors.providers.pubmed.articles import entry_of, item_of
from backend.connectors.providers.pubmed.eutils import EUtils

VERSION: Final = 1
#: Records of one request; about a megabyte.
PAGE_SIZE: Final = 100
_DAYS_A_YEAR: Final = 365.25


class PubMedSource:
    """A `Source` for one search. Loaded by workers only."""

    def __init__(self, opening: Opening) -> None:
        """`opening.credentials`: its access token is the API key, if there is one."""
        self._settings = PubMedSettings.model_validate(opening.settings)
        self._eutils = EUtils(
            opening.api_base,
            api_key=opening.credentials.access_token if opening.credentials else None,
            email=self._settings.contact_email,
        )
        chosen = self._settings.model_dump_json(exclude={"contact_email"})
        self._choice = hashlib.sha256(chosen.encode()).hexdigest()[:16]

    def close(self) -> None:
        """Let go of connections."""
        self._eutils.close()

    def pages(self, since: Mapping[str, JSON] | None) -> Iterator[Page]:
        """See `Source.pages`. Only a pass over everything has pages: one of changes begins as that."""
        if since is None:
            left = self._search()
            total = len(left)
        else:
            left, total = self._continued(since)
        while True:
            now, left = left[:PAGE_SIZE], left[PAGE_SIZE:]
            records = self._eutils.fetch(now) if now else []
            yield Page(
                cursor={"version": VERSION, "choice": self._choice, "left": left, "total": total},
                entries=tuple(map(entry_of, records)),
                is_full=True,
                total=total,
                note=self._settings.search_query[:200],
            )
            if not left:
                return

    def read(self, entry: Entry) -> SourceItem:
        """See `Source.read`."""
        if isinstance(entry.listed, SourceItem):
            return entry.listed
        pmid = str(entry.locator["pmid"])
        for record in self._eutils.fetch([pmid]):
            item = item_of(record)
            if item.external_id == pmid:
                return item
        raise ItemGone

    def _search(self) -> list[str]:
        chosen = self._settings
        term = (
            f"({chosen.search_query}) AND hasabstract"
            if chosen.include_abstracts_only
            else chosen.search_query
        )
        days = round(chosen.date_range_years * _DAYS_A_YEAR) or None
        return list(dict.fromkeys(self._eutils.search(term, most=chosen.max_results, days=days)))

    def _continued(self, cursor: Mapping[str, Any]) -> tuple[list[str], int]:
        left = cursor.get("left")
        if cursor.get("version") != VERSION or cursor.get("choice") != self._choice or not left:
            raise CursorExpired
        if not isinstance(left, Sequence):
            raise CursorExpired
        return [str(pmid) for pmid in left], int(cursor["total"])


def open_source(opening: Opening) -> PubMedSource:
    """Reads one search."""
    return PubMedSource(opening)
