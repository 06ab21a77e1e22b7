"""Judged collections: a folder with `queries.jsonl` (id, text), `qrels.tsv` (query_id, document, relevance) and either
`documents.jsonl` (id, title, author, text) or `documents/<format>/<stem>.<ext>`, the same documents in each format."""

import json
import mimetypes
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.connectors.providers.contract import SourceItem
from backend.flows.import_folder.flow import find_files


@dataclass(frozen=True, slots=True)
class Query:
    """A question and its relevant documents (id -> grade, above 0)."""

    text: str
    relevant: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Collection:
    """`formats`: name -> documents; an item's `external_id` is what judgements call the document."""

    name: str
    formats: Mapping[str, Sequence[SourceItem]]
    queries: Sequence[Query]


def read_collection(folder: Path) -> Collection:
    """The collection in `folder`; questions without a relevant document are left out.

    Raises ValueError when the folder is no collection.
    """
    judged = _judgements(folder / "qrels.tsv")
    queries = [
        Query(query["text"], relevant)
        for query in _lines(folder / "queries.jsonl")
        if (relevant := judged.get(str(query["id"])))
    ]
    if not queries:
        raise ValueError(f"{folder} has no judged question")
    return Collection(folder.resolve().name, _formats(folder), queries)


def _judgements(path: Path) -> Mapping[str, Mapping[str, int]]:
    judged: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for line in path.read_text(encoding="utf-8").splitlines():
        fields = line.split("\t")
        # The first line names the columns.
        if len(fields) == 3 and fields[2].strip().lstrip("-").isdigit() and int(fields[2]) > 0:
            judged[fields[0]][fields[1]] = int(fields[2])
    return judged


def _formats(folder: Path) -> Mapping[str, Sequence[SourceItem]]:
    if (folder / "documents.jsonl").is_file():
        return {"jsonl": [_from_line(line) for line in _lines(folder / "documents.jsonl")]}
    found = {
        form.name: [_from_file(path) for path in find_files(form)]
        for form in sorted((folder / "documents").iterdir())
        if form.is_dir()
    }
    if not found:
        raise ValueError(f"{folder} has no documents")
    return found


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if line.strip():
                yield json.loads(line)


def _from_line(line: Mapping[str, Any]) -> SourceItem:
    return _item(
        str(line["id"]), str(line["text"]).encode(), "text.txt", line.get("title") or "", line.get("author")
    )


def _from_file(path: Path) -> SourceItem:
    # As an import does it: the title is the document's own, or the file's name.
    return _item(path.stem, path.read_bytes(), path.name, "", None)


def _item(name: str, body: bytes, file_name: str, title: str, author: str | None) -> SourceItem:
    return SourceItem(
        external_id=name,
        title=title,
        body=body,
        mime_type=mimetypes.guess_type(file_name)[0] or "",
        file_name=file_name,
        kind="file",
        url=None,
        author=author,
        created_at=None,
        updated_at=None,
        metadata={},
    )
