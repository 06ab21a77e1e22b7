"""How good search is: judged questions through the whole pipeline, beside BM25, vectors alone and plain rank fusion.

`collections` reads folders, `pipeline` stores and searches as the product does, `baselines` ranks the same passages in
other ways, `measures` judges rankings.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from backend.embeddings.providers.local import LocalEmbedder
from tests.bench.quality.baselines import BM25, fuse, rank_by_meaning
from tests.bench.quality.collections import Collection, read_collection
from tests.bench.quality.measures import hit, mean, ndcg, recall
from tests.bench.quality.pipeline import Tenant, ingest
from tests.bench.report import Report, Row
from tests.conftest import FAST, TestDatabase, clone, running_server

_NOTES = (
    "Of the ten best documents, each ranked by its best passage; means over the judged questions.",
    "bm25: k1 = 1.2, b = 0.75, over the same passages with their titles and headings, in the same lexemes. dense: cosine"
    " of the product's vectors, the question embedded as a passage is. rrf: reciprocal rank fusion of these two, k = 60.",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `scripts/bench quality`."""
    parser.add_argument(
        "folders",
        nargs="+",
        type=Path,
        metavar="DIR",
        help="documents.jsonl or documents/<format>/<stem>.<ext>, queries.jsonl and qrels.tsv",
    )


def run(args: argparse.Namespace) -> Report:
    """Every collection in every format it has, on a server of its own."""
    collections = [read_collection(folder) for folder in args.folders]
    with running_server(FAST) as server:
        database = clone(server)
        try:
            rows = list(measure(database, collections))
        finally:
            database.db.close()
    return Report("search quality, nDCG@10", rows, [*_NOTES, *_lost(rows)])


def measure(database: TestDatabase, collections: Sequence[Collection]) -> Iterator[Row]:
    """A row for each collection and format."""
    embedder = LocalEmbedder()
    for collection in collections:
        for form, documents in collection.formats.items():
            tenant, failed = ingest(database, embedder, documents)
            yield _row(collection, form, tenant, failed)


def _row(collection: Collection, form: str, tenant: Tenant, failed: Mapping[str, str]) -> Row:
    passages = tenant.passages()
    bm25 = BM25(passages)
    rankings: dict[str, list[Sequence[str]]] = {"ours": [], "bm25": [], "dense": [], "rrf": []}
    for query in collection.queries:
        by_words = bm25.rank(tenant.lexemes(query.text))
        by_meaning = rank_by_meaning(passages, tenant.embed(query.text))
        rankings["ours"].append(tenant.search(query.text))
        rankings["bm25"].append(by_words)
        rankings["dense"].append(by_meaning)
        rankings["rrf"].append(fuse(by_words, by_meaning))
    judged = [query.relevant for query in collection.queries]
    gain = {name: mean(map(ndcg, found, judged)) for name, found in rankings.items()}
    return {
        "collection": collection.name,
        "format": form,
        "ndcg10": gain["ours"],
        "recall10": mean(map(recall, rankings["ours"], judged)),
        "hit1": mean(map(hit, rankings["ours"], judged)),
        "bm25_ndcg10": gain["bm25"],
        "dense_ndcg10": gain["dense"],
        "rrf_ndcg10": gain["rrf"],
        "to_bm25": gain["ours"] / gain["bm25"] if gain["bm25"] else None,
        "passages": len(passages),
        "queries": len(collection.queries),
        "unread": "; ".join(f"{name}: {reason}" for name, reason in failed.items()),
    }


def _lost(rows: Sequence[Row]) -> Iterator[str]:
    """What formats lose against Markdown."""
    markdown: Mapping[object, object] = {r["collection"]: r["ndcg10"] for r in rows if r["format"] == "md"}
    for row in rows:
        best = markdown.get(row["collection"])
        if isinstance(best, float) and isinstance(row["ndcg10"], float) and row["format"] != "md":
            yield f"{row['collection']} as {row['format']}: {row['ndcg10'] - best:+.3f} against Markdown"
