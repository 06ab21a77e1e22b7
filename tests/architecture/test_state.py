"""Processes hold no shared state: what modules and classes hold is constant."""

import ast
from pathlib import Path
from types import MappingProxyType
from typing import Final

import pytest

from tests.architecture.shared_state import find_shared_state, frozen_classes

ROOT: Final = Path(__file__).parents[2]

#: What looks like state and is none, each with its reason.
EXCEPTIONS: Final = MappingProxyType(
    {
        "backend.db.base.Base.metadata": "SQLAlchemy's register of tables, filled by importing the models",
        "backend.knowledge.frames._frames": "bounded memo of a pure function of its text: no process can answer"
        " otherwise, and losing it costs time only",
    }
)


def sources() -> dict[str, ast.Module]:
    """Every module of the package, parsed."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): ast.parse(
            path.read_text()
        )
        for path in sorted((ROOT / "backend").rglob("*.py"))
    }


def test_package_keeps_no_state_in_modules() -> None:
    trees = sources()
    frozen = frozen_classes(trees)
    found = [finding for module, tree in trees.items() for finding in find_shared_state(module, tree, frozen)]
    new = [f"{f.name} (line {f.line}): {f.what}" for f in found if f.name not in EXCEPTIONS]
    assert not new, "\n".join(new)
    assert {f.name for f in found} == set(EXCEPTIONS), "no longer needed: take it off the list"


@pytest.mark.parametrize(
    "line",
    [
        "seen = {}",
        "seen: dict[str, int] = {}",
        "seen = []",
        "seen = {1}",
        "seen = {k: 1 for k in 'ab'}",
        "seen = [k for k in 'ab']",
        "seen = {k for k in 'ab'}",
        "seen = (k for k in 'ab')",
        "seen = dict()",
        "seen = (1, [])",
        "seen = None or []",
        "seen = () if 1 else []",
        "seen = MappingProxyType({'a': []})",
        "seen = MappingProxyType({**{k: [] for k in 'ab'}, 'c': 2})",
        "seen = defaultdict(list)",
        "seen = OrderedDict()",
        "seen = threading.Lock()",
        "seen = ContextVar('seen')",
        "seen = itertools.count()",
        "seen = Client()",
        "seen = Loose()",
        "seen = make()",
        "if True:\n    seen = []",
        "try:\n    import x\nexcept ImportError:\n    seen = []",
        "seen = 0\nseen += 1",
        "connect()",
        "for x in (1, 2):\n    print(x)",
        "class C:\n    seen = []",
        "class C:\n    class D:\n        seen = {}",
        "class C:\n    @classmethod\n    def f(cls):\n        cls.seen = 1",
        "class C:\n    def f(self):\n        C.seen = 1",
        "def f():\n    global seen\n    seen = 1",
        "@cache\ndef f(): ...",
        "@lru_cache(maxsize=8)\ndef f(): ...",
        "@functools.lru_cache\ndef f(): ...",
        "def f(): ...\nf.seen = 1",
    ],
)
def test_state_is_found(line: str) -> None:
    assert _findings(line), line


@pytest.mark.parametrize(
    "line",
    [
        "A = 1",
        "A: Final = ('a', b'b', 1.5, None, (1, 2))",
        "A = frozenset({'a'})",
        "A = MappingProxyType({'a': (1, 2)})",
        "A = MappingProxyType({**{k: 1 for k in 'ab'}, 'c': 2})",
        "A = MappingProxyType(str.maketrans({'a': 'b'}))",
        "A = re.compile('a')",
        "A = timedelta(minutes=5)",
        "A = Frozen(1)",
        "A = (Frozen(1), Pair(1, 2))",
        "A = Annotated[str, 1]",
        "A = 'a'.encode()",
        "A = lambda: []",
        "A = TypeVar('A')",
        "log = structlog.get_logger(__name__)",
        "class C(BaseModel):\n    model_config = ConfigDict(extra='allow')\n    a: list[int] = Field(default_factory=list)",
        "class C:\n    'Says what it is.'\n    a: dict[str, int]\n    def __init__(self):\n        self.a = {}",
        "def f():\n    seen = []\n    return seen",
        "if __name__ == '__main__':\n    main()",
    ],
)
def test_constant_is_no_state(line: str) -> None:
    assert not _findings(line), line


_PRELUDE: Final = """
import functools, itertools, re, structlog, threading
from collections import OrderedDict, defaultdict
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Annotated, Final, NamedTuple, TypeVar
from httpx2 import Client
from pydantic import BaseModel, ConfigDict, Field

@dataclass(frozen=True)
class Frozen:
    a: int

@dataclass
class Loose:
    a: int = 1

class Pair(NamedTuple):
    a: int
    b: int

def make(): ...
"""


def _findings(line: str) -> list[str]:
    tree = ast.parse(_PRELUDE + line)
    return [f.what for f in find_shared_state("m", tree, frozen_classes({"m": tree}))]
