"""The `secondbrain` command: starts a web instance or a worker at once, and leaves all else to commands.py."""

import sys

from pydantic import ValidationError

from backend.errors import StateError


def main() -> None:
    """Entry point: known errors are one line, and exit code 1."""
    try:
        _run(sys.argv[1:])
    except StateError as error:
        print(f"Error: {error.message}", file=sys.stderr)
        sys.exit(1)
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_input=False):
            print(f"Error: {'.'.join(map(str, problem['loc']))}: {problem['msg']}", file=sys.stderr)
        sys.exit(1)
    except ValueError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(1)


def _run(arguments: list[str]) -> None:
    # Imported here: what runs for weeks does not carry what reads a command line, and the other way round.
    match arguments:
        case ["serve"]:
            from backend.processes import run_web

            run_web()
        case ["worker"]:
            from backend.processes import run_worker

            run_worker()
        case _:
            from backend.commands import command_line

            command_line()()


if __name__ == "__main__":
    main()
