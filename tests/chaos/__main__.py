"""`scripts/chaos NAME [--json FILE]`."""

import argparse
import sys
from importlib import import_module
from pathlib import Path
from types import MappingProxyType

#: Name -> what it does; the module of that name has `add_arguments(parser)` and `run(args) -> (Report, bool)`.
SCENES = MappingProxyType(
    {
        "sync": "a sync through faults: what is lost, what is there twice, who wrote without a lease",
        "memory": "the memory of a worker from 1,000 to 50,000 items",
    }
)


def main(arguments: list[str]) -> int:
    """Runs one; 0 when all was well."""
    parser = argparse.ArgumentParser(prog="scripts/chaos", description=__doc__)
    subparsers = parser.add_subparsers(dest="scene", required=True)
    for name, words in SCENES.items():
        sub = subparsers.add_parser(name, help=words, description=words)
        sub.add_argument("--json", type=Path, metavar="FILE", help="write the rows as JSON as well")
        if name in arguments[:1]:
            import_module(f"tests.chaos.{name}").add_arguments(sub)
    args = parser.parse_args(arguments)
    report, is_well = import_module(f"tests.chaos.{args.scene}").run(args)
    report.show()
    if args.json:
        report.write(args.json)
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
