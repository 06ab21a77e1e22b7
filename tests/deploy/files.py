"""The files that deploy the product, as their own programs read them."""

import re
from collections.abc import Iterator, Mapping
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[2]

#: `${NAME}`, `${NAME:-default}` and `${NAME:?message}` of a Compose file: name, operator, what follows it.
VARIABLE: Final = re.compile(r"\$\{(\w+)(?:(:[-?])([^}]*))?\}")


def instructions() -> Iterator[tuple[str, str]]:
    """(instruction, what follows) of the Dockerfile, in order, lines joined."""
    lines = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    for line in lines.replace("\\\n", " ").splitlines():
        if line.strip():
            word, _, rest = line.partition(" ")
            yield word.upper(), rest.strip()


def final_stage() -> list[tuple[str, str]]:
    """The instructions of the image that is run, without its FROM."""
    backwards = takewhile(lambda pair: pair[0] != "FROM", reversed(list(instructions())))
    return list(reversed(list(backwards)))


def image_environment() -> dict[str, str]:
    """What the image sets."""
    words = " ".join(rest for word, rest in final_stage() if word == "ENV").split()
    return dict(word.split("=", 1) for word in words)


def example() -> dict[str, str]:
    """.env.example as Compose reads it."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def fill(value: Any, given: Mapping[str, str]) -> Any:
    """`value` with its variables replaced as Compose does it; KeyError for a needed one that is not given."""
    if isinstance(value, dict):
        return {key: fill(item, given) for key, item in value.items()}
    if isinstance(value, list):
        return [fill(item, given) for item in value]

    def replaced(found: re.Match[str]) -> str:
        name, operator, rest = found.groups()
        if operator == ":?" and not given.get(name):
            raise KeyError(name)
        return given.get(name) or (rest if operator == ":-" else "")

    return VARIABLE.sub(replaced, value) if isinstance(value, str) else value


def required(services: Mapping[str, Any]) -> set[str]:
    return {
        name for name, operator, _ in VARIABLE.findall(yaml.safe_dump(dict(services))) if operator == ":?"
    }
