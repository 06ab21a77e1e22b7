"""docs/configuration.md names every setting with its default, and nothing that does not exist."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from backend.settings import Settings
from tests.deploy.files import example

PAGE = (Path(__file__).parents[1] / "docs" / "configuration.md").read_text()

#: Variables of other programs that the page speaks of.
FOREIGN = frozenset({"HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"})


def rows() -> list[tuple[str, str, str]]:
    """(name, meaning, default) of every row of the settings' tables."""
    tables = PAGE.partition("## All settings")[2].partition("\n## ")[0]
    return re.findall(r"^\| `([A-Z_]+)` \| (.+) \| (—|`.+`) \|$", tables, flags=re.MULTILINE)


def shown(default: Any) -> str:
    """A default as the page writes it: what would be put into the environment."""
    value = default.get_secret_value() if isinstance(default, SecretStr) else default
    if value in (None, "", ()):
        return "—"
    if isinstance(value, tuple):
        return f"`{','.join(value)}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def test_names_every_setting_once() -> None:
    assert sorted(name for name, _, _ in rows()) == sorted(
        str(field.alias) for field in Settings.model_fields.values()
    )


@pytest.mark.parametrize("field", Settings.model_fields)
def test_gives_the_default(field: str) -> None:
    info = Settings.model_fields[field]
    assert {name: default for name, _, default in rows()}[str(info.alias)] == shown(info.default)


def test_gives_the_bounds() -> None:
    meanings = {name: meaning for name, meaning, _ in rows()}
    for info in Settings.model_fields.values():
        for limit in info.metadata:
            bound = getattr(limit, "ge", None) or getattr(limit, "le", None)
            # One is the least anywhere, ports end where ports end, and a limit in bytes explains itself.
            if bound and bound not in (1, 1024, 65535):
                assert str(int(bound)) in meanings[str(info.alias)], info.alias


def test_speaks_of_no_variable_that_does_not_exist() -> None:
    known = {str(field.alias) for field in Settings.model_fields.values()} | set(example()) | FOREIGN
    spoken = set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", PAGE))
    assert spoken <= known


def test_links_to_what_exists() -> None:
    titles = re.findall(r"^#+ (.+)$", PAGE, flags=re.MULTILINE)
    anchors = [re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in titles]
    assert len(anchors) == len(set(anchors)), "two headings with one anchor"
    for target in re.findall(r"\]\(([^)]+)\)", PAGE):
        if target.startswith("#"):
            assert target[1:] in anchors, target
        else:
            name, _, anchor = target.partition("#")
            page = Path(__file__).parents[1] / "docs" / name
            assert page.exists(), target
            assert not anchor or f"\n## {anchor}\n" in page.read_text().lower(), target
