"""What GitHub has, in the contract's values: names, titles, addresses, versions, metadata."""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

from backend.connectors.providers.contract import JSON, Entry, ItemFailure, SourceItem
from backend.connectors.providers.github import render
from backend.connectors.providers.github.files import RepositoryFile
from backend.connectors.providers.github.repositories import Repository

#: The word in an external id.
ThreadKind: TypeAlias = Literal["issue", "pull", "discussion", "release"]

_KINDS: Final = MappingProxyType(
    {"issue": "issue", "pull": "pull_request", "discussion": "discussion", "release": "release"}
)
#: GitHub's times are whole seconds, so a second change within one has the time of the first.
_UNSETTLED: Final = timedelta(seconds=2)


def file_id(full_name: str, path: str) -> str:
    """External id of a file."""
    return f"{full_name}:file:{path}"


def file_entry(repository: Repository, file: RepositoryFile) -> Entry:
    """A file as a git tree lists it; its version is its blob."""
    url = repository.file_url(file.path)
    return Entry(
        external_id=file_id(repository.full_name, file.path),
        title=_file_title(repository.full_name, file.path),
        url=url,
        revision=file.blob_sha,
        locator={
            "kind": "file",
            "repository": repository.full_name,
            "branch": repository.branch,
            "path": file.path,
            "sha": file.blob_sha,
            "size": file.byte_size,
            "url": url,
        },
    )


def file_item(locator: Mapping[str, JSON], file: RepositoryFile, body: bytes) -> SourceItem:
    """A file. Author and dates stay empty: git keeps them per commit, asking would double the requests."""
    full_name = str(locator["repository"])
    return SourceItem(
        external_id=file_id(full_name, file.path),
        title=_file_title(full_name, file.path),
        body=body,
        mime_type=file.mime_type,
        file_name=file.name,
        kind="code" if file.is_code else "document",
        url=str(locator["url"]),
        author=None,
        created_at=None,
        updated_at=None,
        metadata={
            "repository": full_name,
            "branch": locator["branch"],
            "path": file.path,
            "folder_path": file.folder,
            "file_type": file.file_type,
            "language": file.language,
            "blob_sha": file.blob_sha,
        },
    )


def folder_failure(repository: Repository, folder: str) -> ItemFailure:
    """A folder whose files are not all known."""
    reason = "GitHub does not list this folder completely; it holds too many files."
    external_id = f"{repository.full_name}:folder:{folder}"
    hides = f"{repository.full_name}:file:{folder}"
    return ItemFailure(external_id, repository.file_url(folder), "list", reason, hides=(hides,))


def stage_failure(repository: Repository, stage: str, reason: str) -> ItemFailure:
    """All files, issues or pull requests of a repository, when they cannot even be listed."""
    hides = f"{repository.full_name}:"
    return ItemFailure(f"{repository.full_name}:{stage}", repository.html_url, "list", reason, hides=(hides,))


def thread_id(full_name: str, kind: ThreadKind, raw: Mapping[str, Any]) -> str:
    """External id of an issue, pull request, discussion or release."""
    return f"{full_name}:{kind}:{raw['id'] if kind == 'release' else raw['number']}"


def thread_entry(
    full_name: str, kind: ThreadKind, raw: Mapping[str, Any], listed_at: datetime | None
) -> Entry:
    """An issue, pull request, discussion or release as a list shows it at `listed_at`."""
    number = raw["id"] if kind == "release" else raw["number"]
    return Entry(
        external_id=thread_id(full_name, kind, raw),
        title=_thread_title(full_name, kind, raw),
        url=raw.get("html_url"),
        revision=_release_revision(raw) if kind == "release" else _thread_revision(raw, listed_at),
        locator={"kind": kind, "repository": full_name, "number": number},
        listed=raw,
    )


def thread_item(full_name: str, kind: ThreadKind, raw: Mapping[str, Any], text: str) -> SourceItem:
    """An issue, pull request, discussion or release with everything said about it; `text` is Markdown."""
    metadata: dict[str, JSON] = {
        "repository": full_name,
        "labels": render.labels(raw),
        "folder_path": f"{kind}s",
        "file_type": _KINDS[kind],
    }
    if kind == "release":
        metadata["tag"] = str(raw["tag_name"])
    else:
        metadata |= {"number": raw["number"], "state": render.state(raw)}
    if kind == "discussion":
        metadata["category"] = str(raw["category"])
    return SourceItem(
        external_id=thread_id(full_name, kind, raw),
        title=_thread_title(full_name, kind, raw),
        # JSON may carry half a surrogate pair, which UTF-8 cannot.
        body=text.encode(errors="replace"),
        mime_type="text/markdown",
        file_name=f"{kind}-{raw['id'] if kind == 'release' else raw['number']}.md",
        kind=_KINDS[kind],
        url=raw.get("html_url"),
        author=render.login(raw),
        created_at=render.moment(raw.get("created_at")),
        updated_at=render.moment(raw.get("updated_at") or raw.get("published_at")),
        metadata=metadata,
    )


def _file_title(full_name: str, path: str) -> str:
    return f"{full_name} - {path}"


def _thread_title(full_name: str, kind: ThreadKind, raw: Mapping[str, Any]) -> str:
    if kind == "release":
        return f"{full_name} - Release {raw.get('name') or raw['tag_name']}"
    return f"{full_name} - #{raw['number']} {raw['title']}"


def _thread_revision(raw: Mapping[str, Any], listed_at: datetime | None) -> str:
    # A comment raises `updated_at`; that one which is deleted does is not promised anywhere, so they are counted too.
    updated_at = str(raw["updated_at"])
    revision = f"{updated_at} {raw.get('comments', '')}".rstrip()
    moment = render.moment(updated_at)
    if listed_at and moment and not moment.microsecond and listed_at - moment < _UNSETTLED:
        # It may change once more without showing. The next pass goes back far enough to list it again, by then with
        # another revision.
        revision += " unsettled"
    return revision


def _release_revision(raw: Mapping[str, Any]) -> str:
    # Lists carry whole releases, and not every server says when one was changed.
    said = "\0".join(
        str(raw.get(name)) for name in ("tag_name", "name", "body", "prerelease", "published_at")
    )
    return hashlib.sha256(said.encode(errors="replace")).hexdigest()[:40]
