"""Finds state that a process would keep for itself: what modules and classes hold, and what changes it.

Blunt on purpose. What a module or a class holds must be a constant: a literal that cannot change, or a call of
something in `CONSTANT_CALLS`, or of a frozen class of the package. Everything else is reported, to be moved into
an object that somebody makes and hands down, into Postgres, or, with its reason, onto the list in test_state.py.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

#: Calls whose result holds nothing that could differ between two processes.
CONSTANT_CALLS: Final = frozenset(
    {
        "bytes",
        "bytes.fromhex",
        "datetime.timedelta",
        "float",
        "frozenset",
        "httpx2.Timeout",
        "int",
        "ipaddress.IPv4Address",
        "ipaddress.IPv4Network",
        "ipaddress.IPv6Network",
        "pathlib.Path",
        "re.compile",
        "str",
        "tuple",
        "types.MappingProxyType",
        "typing.NewType",
        "typing.TypeVar",
        "uuid.UUID",
        # Declarations
        "dataclasses.field",
        "flask_openapi3.APIBlueprint",
        "flask_openapi3.Tag",
        "pydantic.AfterValidator",
        "pydantic.BeforeValidator",
        "pydantic.ConfigDict",
        "pydantic.Field",
        "pydantic.StringConstraints",
        "pydantic_settings.SettingsConfigDict",
        "typer.Typer",
        "sqlalchemy.CheckConstraint",
        "sqlalchemy.ForeignKeyConstraint",
        "sqlalchemy.Index",
        "sqlalchemy.UniqueConstraint",
        "sqlalchemy.orm.mapped_column",
        "sqlalchemy.text",
        # A logger says what happened, a metric counts what this process did; nobody else asks for either.
        "logging.getLogger",
        "structlog.get_logger",
        "prometheus_client.Counter",
        "prometheus_client.Gauge",
        "prometheus_client.Histogram",
    }
)

#: Methods whose result is a constant when what they are called on is one.
CONSTANT_METHODS: Final = frozenset(
    {"decode", "encode", "format", "join", "lower", "replace", "split", "strip", "upper"}
)

#: Class attributes by which a framework is told something once; it reads them when the class is made.
DECLARATIONS: Final = frozenset({"__table_args__", "__mapper_args__", "model_config", "__slots__"})

CACHES: Final = frozenset({"functools.cache", "functools.lru_cache"})

FROZEN_BASES: Final = frozenset({"typing.NamedTuple", "enum.Enum", "enum.StrEnum", "enum.IntEnum"})

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Finding:
    """A piece of shared state: its dotted name, the line, and what it is."""

    name: str
    line: int
    what: str


@dataclass
class Names:
    """What the names of one module mean, as dotted paths."""

    module: str
    known: dict[str, str] = field(default_factory=dict)

    def learn(self, tree: ast.Module) -> None:
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                self.known |= {alias.asname or alias.name: alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                self.known |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
        self.known |= {
            node.name: f"{self.module}.{node.name}"
            for node in tree.body
            if isinstance(node, ast.ClassDef | Function)
        }

    def meaning(self, node: ast.expr) -> str:
        """Dotted path of a name or attribute; empty for anything else."""
        if isinstance(node, ast.Name):
            return self.known.get(node.id, node.id)
        if isinstance(node, ast.Attribute) and (owner := self.meaning(node.value)):
            return f"{owner}.{node.attr}"
        return ""


def names_of(module: str, tree: ast.Module) -> Names:
    """The names of a parsed module."""
    names = Names(module)
    names.learn(tree)
    return names


def frozen_classes(trees: Mapping[str, ast.Module]) -> frozenset[str]:
    """Dotted names of the classes whose instances cannot change, of all `trees` (module -> source)."""
    return frozenset(
        f"{module}.{node.name}"
        for module, tree in trees.items()
        for names in (names_of(module, tree),)
        for node in tree.body
        if isinstance(node, ast.ClassDef)
        and (
            any(names.meaning(base) in FROZEN_BASES for base in node.bases)
            or any(_is_frozen(names, decorator) for decorator in node.decorator_list)
        )
    )


def find_shared_state(module: str, tree: ast.Module, frozen: Iterable[str] = ()) -> list[Finding]:
    """What `tree`, the source of `module`, would keep for the process; `frozen` as from `frozen_classes`."""
    search = _Search(module, names_of(module, tree), frozenset(frozen) | CONSTANT_CALLS)
    return [*search.body(tree.body, module), *search.functions(tree)]


def _values(node: ast.expr) -> list[ast.expr]:
    """What a dict shown as a constant holds; the dict itself is out of reach."""
    match node:
        case ast.Dict(keys=keys, values=values):
            merged = [
                value for key, one in zip(keys, values, strict=True) if key is None for value in _values(one)
            ]
            return [*(one for key, one in zip(keys, values, strict=True) if key is not None), *merged]
        case ast.DictComp(value=value):
            return [value]
    return []


def _is_frozen(names: Names, decorator: ast.expr) -> bool:
    return (
        isinstance(decorator, ast.Call)
        and names.meaning(decorator.func) == "dataclasses.dataclass"
        and any(
            keyword.arg == "frozen"
            and isinstance(keyword.value, ast.Constant)
            and keyword.value.value is True
            for keyword in decorator.keywords
        )
    )


@dataclass
class _Search:
    module: str
    names: Names
    constant_calls: frozenset[str]

    def body(self, statements: Iterable[ast.stmt], owner: str) -> Iterator[Finding]:
        """Findings in the body of a module or class, which is run when it is imported."""
        for node in statements:
            if isinstance(node, ast.ClassDef):
                yield from self.body(node.body, f"{owner}.{node.name}")
            elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
                yield from self._assigned(node, owner)
            elif isinstance(node, ast.If):
                if not self._is_main(node.test):
                    yield from self.body((*node.body, *node.orelse), owner)
            elif isinstance(node, ast.Try):
                handled = [statement for handler in node.handlers for statement in handler.body]
                yield from self.body((*node.body, *handled, *node.orelse, *node.finalbody), owner)
            elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                continue
            elif isinstance(node, ast.Expr | ast.For | ast.While | ast.With | ast.Delete):
                yield Finding(owner, node.lineno, "runs something when it is imported")

    def functions(self, tree: ast.Module) -> Iterator[Finding]:
        """Findings in what functions do: caches, `global`, and writing to a class."""
        for node in ast.walk(tree):
            if isinstance(node, ast.Global):
                yield Finding(f"{self.module}.{node.names[0]}", node.lineno, "is changed through `global`")
            elif isinstance(node, Function):
                for decorator in node.decorator_list:
                    called = decorator.func if isinstance(decorator, ast.Call) else decorator
                    if self.names.meaning(called) in CACHES:
                        yield Finding(
                            f"{self.module}.{node.name}", node.lineno, "keeps results for the process"
                        )
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del):
                target = self.names.meaning(node.value)
                is_class = target == f"{self.module}.{target.rpartition('.')[2]}"
                if target in ("cls", "self.__class__", "__class__") or is_class:
                    yield Finding(f"{target}.{node.attr}", node.lineno, "is written to a class or module")

    def _assigned(self, node: ast.Assign | ast.AnnAssign | ast.AugAssign, owner: str) -> Iterator[Finding]:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        name = ast.unparse(targets[0])
        if name in DECLARATIONS or node.value is None:
            return
        if isinstance(node, ast.AugAssign):
            yield Finding(f"{owner}.{name}", node.lineno, "is changed when it is imported")
        elif what := self._mutable(node.value):
            yield Finding(f"{owner}.{name}", node.lineno, what)

    def _mutable(self, node: ast.expr | None) -> str:
        """What makes the value of `node` something that can change; empty if nothing does."""
        match node:
            case ast.Dict() | ast.DictComp():
                return "a dict"
            case ast.List() | ast.ListComp():
                return "a list"
            case ast.Set() | ast.SetComp():
                return "a set"
            case ast.GeneratorExp():
                return "a generator"
            case ast.Tuple(elts=parts) | ast.BoolOp(values=parts):
                return self._first(parts)
            case ast.Starred(value=value) | ast.UnaryOp(operand=value) | ast.NamedExpr(value=value):
                return self._mutable(value)
            case ast.BinOp(left=left, right=right):
                return self._first((left, right))
            case ast.IfExp(body=body, orelse=orelse):
                return self._first((body, orelse))
            case ast.Call():
                return self._call(node)
            case ast.Await() | ast.Yield() | ast.YieldFrom():
                return "the result of running something"
        # Constants, names, attributes, subscripts (types), comparisons, lambdas, f-strings.
        return ""

    def _call(self, node: ast.Call) -> str:
        called = self.names.meaning(node.func)
        if called == "types.MappingProxyType" and node.args:
            return self._first(_values(node.args[0]))
        if called in self.constant_calls:
            return ""
        if isinstance(node.func, ast.Attribute) and node.func.attr in CONSTANT_METHODS:
            return self._mutable(node.func.value)
        return f"the result of calling {ast.unparse(node.func)}"

    def _first(self, parts: Iterable[ast.expr]) -> str:
        return next((what for part in parts if (what := self._mutable(part))), "")

    def _is_main(self, test: ast.expr) -> bool:
        return ast.unparse(test) == "__name__ == '__main__'"
