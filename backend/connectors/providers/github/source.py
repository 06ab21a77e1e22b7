"""Lists and reads the files, threads and releases of the chosen repositories, page by page.

Repositories come in the order of their names; within one, files, issues, pull requests, discussions, releases. A cursor
names the repository, the stage and the place in it, so a pass can go on in another process, and what has been reached
in each repository, so that the next pass lists changes only.
"""

from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, TypeAlias

from backend.connectors.providers.contract import (
    JSON,
    CredentialsRejected,
    CursorExpired,
    Entry,
    ItemFailure,
    ItemGone,
    ItemUnreadable,
    Opening,
    Page,
    Source,
    SourceItem,
)
from backend.connectors.providers.github import blobs, discussions, items, threads, trees
from backend.connectors.providers.github.client import (
    UNREADABLE,
    GitHubClient,
    NoDiscussions,
    NotUnderstood,
    RepositoryEmpty,
)
from backend.connectors.providers.github.counting import count_items
from backend.connectors.providers.github.files import RepositoryFile, reading_order
from backend.connectors.providers.github.position import STAGES, Position
from backend.connectors.providers.github.repositories import (
    Repository,
    find_repositories,
    name_of,
    walk_key,
)
from backend.connectors.providers.github.trees import Listing

PAGE_SIZE: Final = 100

_Stage: TypeAlias = Generator[Page, None, Position]


def open_source(opening: Opening) -> Source:
    """A source for the account of these credentials. Raises `CredentialsRejected` without any."""
    if opening.credentials is None:
        raise CredentialsRejected
    return GitHubSource(opening.credentials.access_token, opening.settings, api_base=opening.api_base)


class GitHubSource:
    """A `Source` for one GitHub account. Loaded by workers only."""

    def __init__(
        self,
        access_token: str,
        settings: Mapping[str, Any],
        *,
        api_base: str = "https://api.github.com",
        page_size: int = PAGE_SIZE,
    ) -> None:
        """`settings["repositories"]`: list of `owner/name`; empty or missing means all that can be seen. `page_size`:
        entries of a page, at most a hundred."""
        self._client = GitHubClient(api_base, access_token)
        self._chosen = tuple(str(name) for name in settings.get("repositories") or ())
        self._page_size = page_size
        self._has_no_discussions = False
        self._has_told_of_discussions = False

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()

    def pages(self, since: Mapping[str, JSON] | None) -> Iterator[Page]:
        """See `Source.pages`. Of repositories that were not there at the last pass, everything is a change."""
        at = Position.from_cursor(since) if since is not None else Position()
        if at.is_over:
            at = at.next_pass()
        found = find_repositories(self._client, self._chosen)
        is_beginning = not at.repository
        if is_beginning:
            # Before anything else is listed: what changes from now on is for the next pass.
            at = at.begin(self._client.sent_at)
        here = {walk_key(name_of(entry)) for entry in found}
        if not at.is_full and any(walk_key(name) not in here for name in at.marks):
            # Deselected, renamed, deleted or out of sight: only a pass over everything shows what has to go.
            raise CursorExpired
        if is_beginning and at.is_full:
            at = replace(at, total=count_items(self._client, found))
        reached = walk_key(at.repository)
        for entry in found:
            name = name_of(entry)
            if walk_key(name) < reached:
                continue
            if is_beginning or walk_key(name) != reached:
                at = at.enter(name)
            if isinstance(entry, Repository):
                at = yield from self._walk(entry, at)
            elif at.stage != "done":
                at = at.without_repository()
                yield _page(at, name, failures=(entry,))
        yield Page(cursor=at.end().to_cursor(), is_full=at.is_full, total=at.total)

    def read(self, entry: Entry) -> SourceItem:
        """See `Source.read`."""
        locator = entry.locator
        try:
            match locator["kind"]:
                case "file":
                    return blobs.read_file(self._client, locator)
                case "issue":
                    return threads.read_issue(self._client, locator, entry.listed)
                case "pull":
                    return threads.read_pull(self._client, locator, entry.listed)
                case "release":
                    return threads.read_release(self._client, locator, entry.listed)
                case _:
                    return discussions.read_discussion(self._client, locator)
        except NoDiscussions as error:
            raise ItemUnreadable(str(error)) from error
        except (NotUnderstood, RepositoryEmpty) as error:
            raise ItemUnreadable from error

    def _walk(self, repository: Repository, at: Position) -> _Stage:
        for stage in STAGES[:-1]:
            if stage != at.stage:
                continue
            try:
                at = yield from self._stage(repository, at)
            except UNREADABLE as error:
                failure = items.stage_failure(repository, stage, error.message)
                at = at.without_stage()
                yield _page(at, _note(repository, stage), failures=(failure,))
        return at.leave()

    def _stage(self, repository: Repository, at: Position) -> _Stage:
        match at.stage:
            case "files":
                return (yield from self._files(repository, at))
            case "discussions":
                return (yield from self._discussions(repository, at))
            case "issues" if not repository.has_issues:
                return at.next_stage()
            case "issues" | "pulls" | "releases" as stage:
                return (yield from self._threads(repository, at, stage))
            case _:
                return at

    def _files(self, repository: Repository, at: Position) -> _Stage:
        listing = self._listing(repository, at)
        at = replace(at, tree=listing.tree)
        failures = tuple(items.folder_failure(repository, folder) for folder in listing.unread)
        shown: list[RepositoryFile | str] = [*listing.files, *listing.gone]
        shown.sort(key=_place)
        if at.after is not None:
            last = reading_order(at.after)
            failures, shown = (), [one for one in shown if _place(one) > last]
        for start in range(0, len(shown) or bool(failures), self._page_size):
            batch = shown[start : start + self._page_size]
            is_last = start + self._page_size >= len(shown)
            yield _page(
                at.next_stage() if is_last else replace(at, after=_path(batch[-1])),
                _note(repository, "files"),
                entries=(
                    items.file_entry(repository, one) for one in batch if isinstance(one, RepositoryFile)
                ),
                gone=(items.file_id(repository.full_name, one) for one in batch if isinstance(one, str)),
                failures=failures,
            )
            failures = ()
        return at.next_stage()

    def _listing(self, repository: Repository, at: Position) -> Listing:
        if not repository.has_commits:
            return Listing(trees.NO_TREE)
        try:
            return self._listing_of(repository, at, at.tree or repository.branch)
        except ItemGone:
            if not at.tree:
                raise
            # History was rewritten and the tree is gone; the last path still says where the walk was.
            return self._listing_of(repository, at, repository.branch)

    def _listing_of(self, repository: Repository, at: Position, tree_ish: str) -> Listing:
        if at.mark.tree is None:
            return trees.list_files(self._client, repository, tree_ish)
        return trees.list_changes(self._client, repository, at.mark.tree, tree_ish)

    def _threads(self, repository: Repository, at: Position, stage: threads.ListedStage) -> _Stage:
        listed = threads.list_threads(
            self._client,
            repository,
            stage,
            since=at.mark.since,
            after=at.after,
            page_size=self._page_size,
        )
        for page in listed:
            at = replace(at, after=page.next_path) if page.next_path else at.next_stage()
            if page.entries or page.next_path:
                yield _page(at, _note(repository, stage), entries=page.entries)
        return at

    def _discussions(self, repository: Repository, at: Position) -> _Stage:
        if not repository.has_discussions or self._has_no_discussions:
            return at.next_stage()
        try:
            listed = discussions.list_discussions(
                self._client, repository, since=at.mark.since, after=at.after, page_size=self._page_size
            )
            for page in listed:
                at = replace(at, after=page.next_path) if page.next_path else at.next_stage()
                yield _page(at, _note(repository, "discussions"), entries=page.entries)
        except NoDiscussions as error:
            # Servers and tokens without them are no failure of the sync; telling once is enough.
            at = at.next_stage()
            self._has_no_discussions |= error.is_everywhere
            if not self._has_told_of_discussions:
                self._has_told_of_discussions = True
                yield _page(at, f"{_note(repository, 'discussions')}: {error}")
        return at


def _page(
    at: Position,
    note: str,
    *,
    entries: Iterable[Entry] = (),
    gone: Iterable[str] = (),
    failures: tuple[ItemFailure, ...] = (),
) -> Page:
    return Page(
        cursor=at.to_cursor(),
        entries=tuple(entries),
        gone=tuple(gone),
        failures=failures,
        is_full=at.is_full,
        total=at.total,
        note=note,
    )


def _note(repository: Repository, stage: str) -> str:
    return f"{repository.full_name}: {'pull requests' if stage == 'pulls' else stage}"


def _path(shown: RepositoryFile | str) -> str:
    return shown if isinstance(shown, str) else shown.path


def _place(shown: RepositoryFile | str) -> tuple[int, str]:
    return reading_order(_path(shown))
