"""A short leg of `scripts/bench quality`: it reads both layouts, measures what it says, and vectors do no harm."""

import json
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from backend.db.embedded import EmbeddedPostgres
from tests.bench.quality import measure
from tests.bench.quality.baselines import BM25, Passage, fuse
from tests.bench.quality.collections import Collection, read_collection
from tests.bench.quality.measures import hit, ndcg, recall
from tests.conftest import clone

FIGURES: Final = ("ndcg10", "recall10", "hit1", "bm25_ndcg10", "dense_ndcg10", "rrf_ndcg10")

DOCUMENTS: Final = {
    "kettle": "# Kettle\n\nBoil the kettle only half full. Descale it with vinegar every second month.",
    "bicycles": "# Bicycle room\n\nThe bicycle room is open to all tenants. Pumps hang beside the door.",
    "visitors": "# Visitors\n\nGuests ring at the gate. The porter writes a badge and calls their host.",
    "rubbish": "# Rubbish\n\nPaper goes out on Monday, glass on Thursday. Batteries belong in the red box.",
    "noise": "# Quiet hours\n\nNo drilling between noon and two. Music stays indoors after ten in the evening.",
}
QUESTIONS: Final = {
    "How often is the kettle descaled?": "kettle",
    "Where do I find a pump for my bicycle?": "bicycles",
    "Who gives a guest a badge?": "visitors",
    "When is the glass collected?": "rubbish",
    "May I play music in the evening?": "noise",
    "What do I do with old batteries?": "rubbish",
}


def write(folder: Path) -> Path:
    """The collection as files in two formats, with something that is no document."""
    for form, ending in (("md", "md"), ("html", "html")):
        (folder / "documents" / form).mkdir(parents=True)
        for name, text in DOCUMENTS.items():
            title, body = text.removeprefix("# ").split("\n\n")
            content = text if form == "md" else f"<html><body><h1>{title}</h1><p>{body}</p></body></html>"
            (folder / "documents" / form / f"{name}.{ending}").write_text(content)
    (folder / "documents" / "md" / ".DS_Store").write_bytes(b"\0\0\0\1Bud1\0\0")
    _judge(folder)
    return folder


def write_lines(folder: Path) -> Path:
    """The same as one file of lines."""
    folder.mkdir()
    lines = [{"id": n, "title": n, "author": "A", "text": text} for n, text in DOCUMENTS.items()]
    (folder / "documents.jsonl").write_text("\n".join(map(json.dumps, lines)))
    _judge(folder)
    return folder


def _judge(folder: Path) -> None:
    queries = [{"id": str(n), "text": text} for n, text in enumerate([*QUESTIONS, "Nobody has judged this."])]
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)) + "\n")
    judged = [f"{n}\t{name}\t1" for n, name in enumerate(QUESTIONS.values())]
    (folder / "qrels.tsv").write_text(
        "\n".join(["query_id\tdocument\trelevance", "0\tnoise\t0", *judged]) + "\n"
    )


def test_collections_are_measured_in_each_format(server: EmbeddedPostgres, tmp_path: Path) -> None:
    collections = [
        read_collection(write(tmp_path / "house")),
        read_collection(write_lines(tmp_path / "lines")),
    ]
    database = clone(server)
    try:
        rows = list(measure(database, collections))
    finally:
        database.db.close()
    assert [(row["collection"], row["format"]) for row in rows] == [
        ("house", "html"),
        ("house", "md"),
        ("lines", "jsonl"),
    ]
    for row in rows:
        assert set(FIGURES) <= row.keys()
        assert all(0 <= row[name] <= 1 for name in FIGURES), row  # type: ignore[operator]
        assert (row["queries"], row["passages"], row["unread"]) == (len(QUESTIONS), len(DOCUMENTS), "")
        assert row["ndcg10"] >= row["bm25_ndcg10"] > 0.8  # type: ignore[operator]
        assert row["ndcg10"] >= row["dense_ndcg10"]  # type: ignore[operator]


def test_folder_without_judgements_is_no_collection(tmp_path: Path) -> None:
    write(tmp_path / "house")
    (tmp_path / "house" / "qrels.tsv").write_text("query_id\tdocument\trelevance\n")
    with pytest.raises(ValueError, match="no judged question"):
        read_collection(tmp_path / "house")


def test_measures_are_the_published_ones() -> None:
    grades = {"a": 2, "b": 1}
    best = 2 + 1 / np.log2(3)
    assert ndcg(["a", "b"], grades) == pytest.approx(1)
    assert ndcg(["x", "b", "a"], grades) == pytest.approx((1 / np.log2(3) + 2 / 2) / best)
    assert ndcg([*"0123456789", "a"], grades) == 0
    assert (recall(["x", "a"], grades), recall([*"0123456789", "a"], grades)) == (0.5, 0)
    assert (hit(["b"], grades), hit(["x", "a"], grades), hit([], grades)) == (1, 0, 0)


def test_bm25_is_the_published_one() -> None:
    vector = np.ones(1, dtype=np.float32)
    passages = [
        Passage("long", {"cat": 1, "dog": 3}, vector),
        Passage("short", {"cat": 1}, vector),
        Passage("other", {"dog": 1}, vector),
    ]
    assert BM25(passages).rank(["cat", "unknown"]) == ["short", "long"]
    assert BM25(passages).rank([]) == []
    assert fuse(["a", "b", "c"], ["c", "d"])[0] == "c"


def test_collection_names_are_of_folders(tmp_path: Path) -> None:
    collection: Collection = read_collection(write(tmp_path / "house"))
    assert collection.name == "house"
    assert {item.external_id for item in collection.formats["md"]} == DOCUMENTS.keys()
