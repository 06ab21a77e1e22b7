"""`scripts/bench NAME [--json FILE]`."""

import argparse
import sys
from importlib import import_module
from pathlib import Path
from types import MappingProxyType

#: Name -> what it measures; the module of that name has `add_arguments(parser)` and `run(args) -> Report`.
BENCHES = MappingProxyType(
    {
        "state": "every piece of shared state beside Redis",
        "jobs": "claim and finish jobs, beside Postgres queue libraries",
        "streams": "from a commit to a thousand clients of another instance, beside Redis",
        "notify": "what notifications cost writers",
        "quality": "judged collections through the whole pipeline, beside BM25, vectors alone and rank fusion",
        "search": "tenants of very different size in one database, beside the bare statement",
        "ingest": "from files to documents that are found, beside a script that parses, embeds and COPYs",
        "memory": "a web instance and a worker with 100 active tenants",
    }
)


def main(arguments: list[str]) -> int:
    """Runs one bench; 0 when it ran, whatever it found."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    subparsers = parser.add_subparsers(dest="bench", required=True)
    for name, words in BENCHES.items():
        sub = subparsers.add_parser(name, help=words, description=words)
        sub.add_argument("--json", type=Path, metavar="FILE", help="write the rows as JSON as well")
        if name in arguments[:1]:
            import_module(f"tests.bench.{name}").add_arguments(sub)
    args = parser.parse_args(arguments)
    report = import_module(f"tests.bench.{args.bench}").run(args)
    report.show()
    if args.json:
        report.write(args.json)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
