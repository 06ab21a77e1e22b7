"""The files of a repository at one moment, and what changed between two: by git trees, which are named by content.

Two trees tell what was added, changed, renamed and deleted between them, however many commits lie between and even
when history was rewritten; GitHub's comparison of commits shows 300 files at most, and nothing of a history that
is gone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from backend.connectors.providers.contract import CursorExpired, ItemGone
from backend.connectors.providers.github.client import GitHubClient, RepositoryEmpty
from backend.connectors.providers.github.files import RepositoryFile, is_vendored, select
from backend.connectors.providers.github.repositories import Repository

#: Requests spent on one repository whose tree is too large for a single answer.
MAX_FOLDERS: Final = 2000
#: Stands for the tree of a repository without commits.
NO_TREE: Final = ""

_Entries = list[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Listing:
    """Files worth reading, in order, and what is no longer one of them."""

    tree: str
    """Names this very state: asking for it later gives the same files."""
    files: tuple[RepositoryFile, ...] = ()
    gone: tuple[str, ...] = ()
    """Paths."""
    unread: tuple[str, ...] = ()
    """Folders that could not be listed."""


def list_files(client: GitHubClient, repository: Repository, tree_ish: str) -> Listing:
    """All files below a branch or the tree of an earlier `Listing`.

    Raises `ItemGone` when there is no such tree, and what `GitHubClient.get` raises.
    """
    try:
        answer = _tree(client, repository, tree_ish, recursive=True)
        sha = str(answer["sha"])
        if not answer.get("truncated"):
            return Listing(sha, tuple(select(answer["tree"])))
        entries, unread = _read_folders(client, repository, sha)
    except RepositoryEmpty:
        return Listing(NO_TREE)
    return Listing(sha, tuple(select(entries)), unread=unread)


def list_changes(client: GitHubClient, repository: Repository, base: str, tree_ish: str) -> Listing:
    """The files that are new or changed since the tree `base`, and the paths that are no longer there.

    Raises `CursorExpired` when GitHub no longer has `base`, and what `list_files` raises.
    """
    try:
        head = str(_tree(client, repository, tree_ish)["sha"])
    except RepositoryEmpty:
        head = NO_TREE
    if head == base:
        return Listing(head)
    if head == NO_TREE:
        return Listing(head, gone=tuple(file.path for file in _base_files(client, repository, base)))
    if base == NO_TREE:
        return list_files(client, repository, head)
    before = _base_tree(client, repository, base, recursive=True)
    now = _tree(client, repository, head, recursive=True)
    if before.get("truncated") or now.get("truncated"):
        return _between(head, *_changed_folders(client, repository, base, head))
    return _between(head, before["tree"], now["tree"], ())


def _between(head: str, before: _Entries, now: _Entries, unread: tuple[str, ...]) -> Listing:
    old = {file.path: file.blob_sha for file in select(before)}
    new = select(now)
    kept = {file.path for file in new}
    changed = tuple(file for file in new if old.get(file.path) != file.blob_sha)
    return Listing(head, changed, tuple(path for path in old if path not in kept), unread)


def _base_files(client: GitHubClient, repository: Repository, base: str) -> tuple[RepositoryFile, ...]:
    try:
        return list_files(client, repository, base).files
    except ItemGone as error:
        raise CursorExpired from error


def _base_tree(client: GitHubClient, repository: Repository, sha: str, *, recursive: bool = False) -> Any:
    try:
        return _tree(client, repository, sha, recursive=recursive)
    except ItemGone as error:
        raise CursorExpired from error


def _tree(client: GitHubClient, repository: Repository, tree_ish: str, *, recursive: bool = False) -> Any:
    path = f"{repository.path}/git/trees/{quote(tree_ish, safe='')}"
    return client.get(f"{path}?recursive=1" if recursive else path).data


def _read_folders(
    client: GitHubClient, repository: Repository, root: str
) -> tuple[_Entries, tuple[str, ...]]:
    """(all entries, folders left out), folder by folder: GitHub cuts a recursive answer at 100 000 entries or 7 MB."""
    entries: _Entries = []
    unread: list[str] = []
    waiting = [("", root)]
    listed = 0
    while waiting and listed < MAX_FOLDERS:
        listed += 1
        folder, sha = waiting.pop()
        answer = _tree(client, repository, sha)
        if answer.get("truncated"):
            unread.append(folder)
        for entry in _inside(folder, answer["tree"]):
            if entry["type"] != "tree":
                entries.append(entry)
            elif not is_vendored(entry["path"]):
                waiting.append((entry["path"], str(entry["sha"])))
    return entries, (*unread, *(folder for folder, _ in waiting))


def _changed_folders(
    client: GitHubClient, repository: Repository, base: str, head: str
) -> tuple[_Entries, _Entries, tuple[str, ...]]:
    """(entries before, entries now, folders left out) of folders that differ, going down into no other ones."""
    before: _Entries = []
    now: _Entries = []
    unread: list[str] = []
    waiting: list[tuple[str, str | None, str | None]] = [("", base, head)]
    listed = 0
    while waiting:
        listed += 1
        if listed > MAX_FOLDERS:
            # More has changed than is looked at one by one; what is gone shows in passes over everything.
            raise CursorExpired
        folder, *shas = waiting.pop()
        old = _base_tree(client, repository, shas[0]) if shas[0] else {"tree": []}
        new = _tree(client, repository, shas[1]) if shas[1] else {"tree": []}
        if old.get("truncated") or new.get("truncated"):
            unread.append(folder)
            continue
        old_folders: dict[str, str] = {}
        new_folders: dict[str, str] = {}
        for answer, entries, folders in ((old, before, old_folders), (new, now, new_folders)):
            for entry in _inside(folder, answer["tree"]):
                if entry["type"] != "tree":
                    entries.append(entry)
                elif not is_vendored(entry["path"]):
                    folders[entry["path"]] = str(entry["sha"])
        waiting += [
            (path, old_folders.get(path), new_folders.get(path))
            for path in old_folders.keys() | new_folders.keys()
            if old_folders.get(path) != new_folders.get(path)
        ]
    return before, now, tuple(unread)


def _inside(folder: str, entries: _Entries) -> Iterator[Mapping[str, Any]]:
    """The entries of a folder, with paths from the root."""
    for entry in entries:
        yield {**entry, "path": f"{folder}/{entry['path']}" if folder else str(entry["path"])}
