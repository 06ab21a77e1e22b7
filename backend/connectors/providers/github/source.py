"""Walks the files, issues and pull requests of the chosen repositories, page by page.

Repositories come in the order of their names; within one, files, then issues, then pull requests. A cursor
names the repository, the stage and the place in it, so a walk can go on in another process. Files are read
from one git tree whose sha the cursor keeps. Issues and pull requests are listed oldest first: what is
created meanwhile comes at the end, and what is edited meanwhile keeps its place (by time of change it would
jump, and push another one out of sight).
"""

import base64
import binascii
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from backend.connectors.providers.contract import (
    JSON,
    ItemFailure,
    Page,
    ProviderRefused,
    ProviderUnavailable,
    RateLimited,
    SourceItem,
)
from backend.connectors.providers.github import files, items, render
from backend.connectors.providers.github.client import GitHubClient, Missing, RepositoryEmpty, Unprocessable
from backend.connectors.providers.github.files import RepositoryFile
from backend.connectors.providers.github.repositories import (
    Repository,
    Tree,
    find_repositories,
    name_of,
    read_tree,
    walk_key,
)

STAGES: Final = ("files", "issues", "pulls", "done")
FILES_PER_PAGE: Final = 20
BYTES_PER_PAGE: Final = 8 * 1024 * 1024
ISSUES_PER_PAGE: Final = 20
#: A pull request costs three more requests, an issue at most one; pages should take about as long.
PULLS_PER_PAGE: Final = 10
#: Counting beforehand takes two searches a repository, and GitHub allows thirty a minute.
MAX_COUNTED_REPOSITORIES: Final = 10

_UNREADABLE: Final = (Missing, ProviderRefused, Unprocessable)


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a walk: after everything before `after` in `stage` of `repository`."""

    repository: str
    stage: str = "files"
    after: str | None = None
    """Files: the last path read. Issues and pull requests: the API path of the next list page."""
    tree: str | None = None
    """Sha of the tree the files are read from."""
    total: int | None = None

    def to_cursor(self) -> Mapping[str, JSON]:
        """This as JSON."""
        return {field: getattr(self, field) for field in self.__slots__}

    @classmethod
    def from_cursor(cls, cursor: Mapping[str, Any]) -> Self:
        """The place `to_cursor` wrote down. Raises `KeyError` for anything else."""
        return cls(**{field: cursor[field] for field in cls.__slots__})

    def next_stage(self) -> "Position":
        """The beginning of the stage after this one."""
        return replace(self, stage=STAGES[STAGES.index(self.stage) + 1], after=None, tree=None)


class GitHubSource:
    """A `Source` for one GitHub account. Loaded by workers only."""

    def __init__(
        self, access_token: str, settings: Mapping[str, Any], *, api_base: str = "https://api.github.com"
    ) -> None:
        """`settings["repositories"]`: list of `owner/name`; empty or missing means all that can be seen."""
        self._client = GitHubClient(api_base, access_token)
        self._chosen = tuple(str(name) for name in settings.get("repositories") or ())

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()

    def pages(self, cursor: Mapping[str, JSON] | None) -> Iterator[Page]:
        """See `Source.pages`. A page may be empty: the cursor still moves."""
        entries = find_repositories(self._client, self._chosen)
        start = Position.from_cursor(cursor) if cursor else Position("", total=self._count(entries))
        reached = walk_key(start.repository)
        for entry in entries:
            name = name_of(entry)
            if walk_key(name) < reached:
                continue
            at = start if walk_key(name) == reached else Position(name, total=start.total)
            if isinstance(entry, Repository):
                yield from self._walk(entry, at)
            elif at.stage != "done":
                yield _page((entry,), replace(at, stage="done"), name)

    def _count(self, entries: Iterable[Repository | ItemFailure]) -> int | None:
        """Items of the whole pass, or None where GitHub would not say cheaply."""
        repositories = [entry for entry in entries if isinstance(entry, Repository)]
        if len(repositories) > MAX_COUNTED_REPOSITORIES:
            return None
        total = 0
        try:
            for repository in repositories:
                total += len(files.select(self._tree(repository, repository.branch).entries))
                for word in ("issue", "pr"):
                    query = f"/search/issues?per_page=1&q=repo:{repository.full_name}+is:{word}"
                    total += int(self._client.get(query).data["total_count"])
        except (*_UNREADABLE, RateLimited, ProviderUnavailable):
            # A bar without an end is no reason to fail; what is really wrong shows at the next request.
            return None
        return total

    def _walk(self, repository: Repository, at: Position) -> Iterator[Page]:
        stages: tuple[tuple[str, Callable[[Repository, Position], Iterator[Page]]], ...] = (
            ("files", self._files),
            ("issues", self._issues),
            ("pulls", self._pulls),
        )
        for stage, pages in stages:
            if stage != at.stage:
                continue
            try:
                yield from pages(repository, at)
            except _UNREADABLE as error:
                failure = items.stage_failure(repository, stage, error.message)
                yield _page((failure,), at.next_stage(), _note(repository, stage))
            at = at.next_stage()

    def _files(self, repository: Repository, at: Position) -> Iterator[Page]:
        try:
            tree = self._tree(repository, at.tree or repository.branch)
        except Missing:
            if at.tree is None:
                raise
            # History was rewritten and the tree is gone; the last path still says where the walk was.
            tree = self._tree(repository, repository.branch)
        failures = [items.folder_failure(repository, folder) for folder in tree.unread]
        wanted = files.select(tree.entries)
        if at.after is not None:
            failures, last = [], files.reading_order(at.after)
            wanted = [file for file in wanted if file.order > last]
        batches = list(_batches(wanted))
        if failures and not batches:
            batches = [[]]
        for number, batch in enumerate(batches, start=1):
            results = [*failures, *(self._download(repository, file) for file in batch)]
            is_last = number == len(batches)
            here = at.next_stage() if is_last else replace(at, after=batch[-1].path, tree=tree.sha)
            yield _page(results, here, _note(repository, "files"))
            failures = []

    def _tree(self, repository: Repository, tree_ish: str) -> Tree:
        if not repository.has_commits:
            return Tree("", [], ())
        try:
            return read_tree(self._client, repository, tree_ish)
        except RepositoryEmpty:
            return Tree("", [], ())

    def _download(self, repository: Repository, file: RepositoryFile) -> SourceItem | ItemFailure | None:
        if file.is_too_large:
            return items.file_failure(repository, file, "The file is larger than 10 MiB.")
        try:
            blob = self._client.get(f"{repository.path}/git/blobs/{file.blob_sha}").data
            body = base64.b64decode(blob["content"])
        except _UNREADABLE as error:
            return items.file_failure(repository, file, error.message)
        except binascii.Error:
            return items.file_failure(repository, file, "GitHub sent the file in a form that cannot be read.")
        if files.is_large_file_pointer(body):
            return items.file_failure(repository, file, "The file is kept in Git LFS, which is not read.")
        if file.is_code and files.is_binary(body):
            return None
        return items.file_item(repository, file, body)

    def _issues(self, repository: Repository, at: Position) -> Iterator[Page]:
        if repository.has_issues:
            yield from self._threads(repository, at, ISSUES_PER_PAGE, self._issue)

    def _pulls(self, repository: Repository, at: Position) -> Iterator[Page]:
        yield from self._threads(repository, at, PULLS_PER_PAGE, self._pull)

    def _threads(
        self,
        repository: Repository,
        at: Position,
        page_size: int,
        read: Callable[[Repository, Mapping[str, Any]], SourceItem | ItemFailure],
    ) -> Iterator[Page]:
        order = "state=all&sort=created&direction=asc"
        first = f"{repository.path}/{at.stage}?{order}&per_page={page_size}"
        path: str | None = at.after or first
        while path:
            try:
                answer = self._client.get(path)
            except Unprocessable:
                if path == first:
                    raise
                # The link in an old cursor has expired. Reading the stage again is safe, skipping it is not.
                path = first
                continue
            # GitHub lists pull requests among the issues as well.
            threads = [raw for raw in answer.data if at.stage == "pulls" or "pull_request" not in raw]
            results = [read(repository, raw) for raw in threads]
            path = answer.next_path
            here = replace(at, after=path) if path else at.next_stage()
            yield _page(results, here, _note(repository, at.stage))

    def _issue(self, repository: Repository, raw: Mapping[str, Any]) -> SourceItem | ItemFailure:
        comments = f"{repository.path}/issues/{raw['number']}/comments?per_page=100"
        try:
            said = self._client.each(comments) if raw.get("comments", 1) else ()
            text = render.issue(repository.full_name, raw, said)
        except _UNREADABLE as error:
            return items.thread_failure(repository, "issue", raw, error.message)
        return items.thread_item(repository, "issue", raw, text)

    def _pull(self, repository: Repository, raw: Mapping[str, Any]) -> SourceItem | ItemFailure:
        number = raw["number"]
        comments = self._client.each(f"{repository.path}/issues/{number}/comments?per_page=100")
        reviews = self._client.each(f"{repository.path}/pulls/{number}/reviews?per_page=100")
        on_lines = self._client.each(f"{repository.path}/pulls/{number}/comments?per_page=100")
        try:
            text = render.pull(repository.full_name, raw, comments, reviews, on_lines)
        except _UNREADABLE as error:
            return items.thread_failure(repository, "pull", raw, error.message)
        return items.thread_item(repository, "pull", raw, text)


def _page(results: Iterable[SourceItem | ItemFailure | None], at: Position, note: str) -> Page:
    found = tuple(results)
    return Page(
        items=tuple(result for result in found if isinstance(result, SourceItem)),
        failures=tuple(result for result in found if isinstance(result, ItemFailure)),
        cursor=at.to_cursor(),
        total=at.total,
        note=note,
    )


def _note(repository: Repository, stage: str) -> str:
    return f"{repository.full_name}: {'pull requests' if stage == 'pulls' else stage}"


def _batches(wanted: Iterable[RepositoryFile]) -> Iterator[list[RepositoryFile]]:
    """Runs of files that make up a page: few enough, and small enough to be held in memory together."""
    batch: list[RepositoryFile] = []
    byte_size = 0
    for file in wanted:
        downloaded = 0 if file.is_too_large else file.byte_size
        if batch and (len(batch) == FILES_PER_PAGE or byte_size + downloaded > BYTES_PER_PAGE):
            yield batch
            batch, byte_size = [], 0
        batch.append(file)
        byte_size += downloaded
    if batch:
        yield batch
