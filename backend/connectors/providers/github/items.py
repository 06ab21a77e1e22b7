"""What is read from GitHub, in the contract's values: names, titles, addresses, metadata."""

from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias

from backend.connectors.providers.contract import ItemFailure, SourceItem
from backend.connectors.providers.github import render
from backend.connectors.providers.github.files import RepositoryFile
from backend.connectors.providers.github.repositories import Repository

#: The word in an external id, and the name of GitHub's own address for it.
ThreadKind: TypeAlias = Literal["issue", "pull"]

_KINDS: Final = (("issue", "issue"), ("pull", "pull_request"))


def file_item(repository: Repository, file: RepositoryFile, body: bytes) -> SourceItem:
    """A file. Author and dates stay empty: git keeps them per commit, asking would double the requests."""
    return SourceItem(
        external_id=_file_id(repository, file),
        title=f"{repository.full_name} - {file.path}",
        body=body,
        mime_type=file.mime_type,
        file_name=file.name,
        kind="code" if file.is_code else "document",
        url=repository.file_url(file.path),
        author=None,
        created_at=None,
        updated_at=None,
        metadata={
            "repository": repository.full_name,
            "branch": repository.branch,
            "path": file.path,
            "folder_path": file.folder,
            "file_type": file.file_type,
            "language": file.language,
            "blob_sha": file.blob_sha,
        },
    )


def file_failure(repository: Repository, file: RepositoryFile, reason: str) -> ItemFailure:
    """A file that could not be read."""
    return ItemFailure(_file_id(repository, file), repository.file_url(file.path), "download", reason)


def folder_failure(repository: Repository, folder: str) -> ItemFailure:
    """A folder whose files are not all known."""
    reason = "GitHub does not list this folder completely; it holds too many files."
    external_id = f"{repository.full_name}:folder:{folder}"
    return ItemFailure(external_id, repository.file_url(folder), "list", reason)


def thread_item(repository: Repository, kind: ThreadKind, raw: Mapping[str, Any], text: str) -> SourceItem:
    """An issue or pull request with everything said about it; `text` is Markdown."""
    return SourceItem(
        external_id=f"{repository.full_name}:{kind}:{raw['number']}",
        title=f"{repository.full_name} - #{raw['number']} {raw['title']}",
        # JSON may carry half a surrogate pair, which UTF-8 cannot.
        body=text.encode(errors="replace"),
        mime_type="text/markdown",
        file_name=f"{kind}-{raw['number']}.md",
        kind=dict(_KINDS)[kind],
        url=raw.get("html_url"),
        author=render.login(raw),
        created_at=render.moment(raw.get("created_at")),
        updated_at=render.moment(raw.get("updated_at")),
        metadata={
            "repository": repository.full_name,
            "number": raw["number"],
            "state": render.state(raw),
            "labels": render.labels(raw),
            "folder_path": f"{kind}s",
            "file_type": dict(_KINDS)[kind],
        },
    )


def thread_failure(
    repository: Repository, kind: ThreadKind, raw: Mapping[str, Any], reason: str
) -> ItemFailure:
    """An issue or pull request whose comments could not be read."""
    external_id = f"{repository.full_name}:{kind}:{raw['number']}"
    return ItemFailure(external_id, raw.get("html_url"), "read", reason)


def stage_failure(repository: Repository, stage: str, reason: str) -> ItemFailure:
    """All files, issues or pull requests of a repository, when they cannot even be listed."""
    return ItemFailure(f"{repository.full_name}:{stage}", repository.html_url, "list", reason)


def _file_id(repository: Repository, file: RepositoryFile) -> str:
    return f"{repository.full_name}:file:{file.path}"
