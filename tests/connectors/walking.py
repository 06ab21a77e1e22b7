"""What tests of providers look at in the pages of a pass."""

from collections.abc import Iterable

from backend.connectors.providers.contract import Credentials, Entry, Page


def credentials(token: str) -> Credentials:
    """Credentials of an access token alone."""
    return Credentials(token, None, None, (), "Bearer")


def entries_of(pages: Iterable[Page]) -> list[Entry]:
    """All entries, in order."""
    return [entry for page in pages for entry in page.entries]


def ids_of(pages: Iterable[Page]) -> list[str]:
    """Their external ids, in order."""
    return [entry.external_id for entry in entries_of(pages)]
