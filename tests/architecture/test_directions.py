"""Who may import whom: app -> flows -> rooms -> tenants -> db -> errors, and routes -> repository -> models."""

import ast
import subprocess
import sys
from fnmatch import fnmatch
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from types import MappingProxyType
from typing import Final

import grimp
import pytest

ROOT: Final = Path(__file__).parents[2]

#: From the top to the bottom. A module belongs to the longest prefix that fits; it may import what is further
#: down, and its own package. What stands side by side does not know each other: that is what a flow is for.
LAYERS: Final = (
    ("cli",),
    ("commands",),
    ("syncing",),
    ("administration",),
    ("processes",),
    ("serve", "up", "work"),
    ("app",),
    ("admission",),
    ("flows", "wiring"),
    ("inference",),
    # Signing in has routes like any room; the rest of `tenants` is below, because `web` asks it who is asking.
    (
        "chats",
        "components",
        "configs",
        "connectors",
        "documents",
        "embeddings",
        "jobs",
        "keys",
        "knowledge",
        "limits",
        "oauth",
        "ops",
        "search",
        "searches",
        "sync",
        "tenants.api_keys.routes",
        "tenants.routes",
        "tenants.sign_up.routes",
    ),
    ("web",),
    ("tenants",),
    ("bundled",),
    ("db",),
    ("keyring", "outside", "ports", "supervisor"),
    ("errors", "lifeline", "logs", "lru", "marks", "pages", "rooms", "scratch", "settings"),
)

#: Imports that go upward all the same, each with its reason.
UPWARD: Final = MappingProxyType(
    {
        ("backend.web", "backend.wiring"): "names the type of what app.py hands it; not imported at run time",
    }
)

#: Where a library may be used: names of files, or of one module or package.
ONLY_IN: Final = MappingProxyType(
    {
        "sqlalchemy": ("backend.db", "models", "repository"),
        "pgvector": ("models",),
        "psycopg": ("backend.db", "backend.bundled"),
        "alembic": ("backend.db.migrate",),
        "flask": ("backend.app", "backend.admission", "backend.web", "routes"),
        "flask_openapi3": ("backend.app", "routes"),
        "werkzeug": ("backend.app", "backend.flows.desk.parts", "backend.web"),
        "gunicorn": ("backend.serve",),
        "typer": ("backend.administration", "backend.commands", "backend.syncing"),
        "rich": ("backend.commands",),
        "kreuzberg": ("backend.documents.parsing.engine",),
        "lxml": ("backend.connectors.providers",),
        "httpcore2": ("backend.outside",),
        "cryptography": ("backend.keyring",),
        "jwt": ("backend.keyring",),
    }
)

#: What no web process carries: it hands parsing and reading of sources to the workers.
WORKERS_ONLY: Final = (
    "kreuzberg",
    "lxml",
    "protego",
    "alembic",
    "backend.documents.parsing",
    "backend.connectors.providers.*.source",
    "backend.flows.sync_connector.handler",
    "backend.flows.upload_documents.handler",
    "backend.jobs.worker",
)

#: Who touches the environment besides settings.py, and what for; none of them reads a setting from it.
ENVIRONMENT: Final = MappingProxyType(
    {
        "backend/scratch.py": "sets TMPDIR for a library that unpacks itself there",
        "backend/processes.py": "tells numpy's library how many threads it may start",
        "backend/embeddings/providers/local.py": "tells the tokenizer's library to start no threads",
        "backend/up.py": "hands the whole environment on to its children",
        "backend/commands.py": "hands psql, which takes its place, a role",
    }
)


@cache
def graph() -> grimp.ImportGraph:
    """Every import of the package, those inside functions and for types only included."""
    return grimp.build_graph("backend", include_external_packages=True, cache_dir=None)


def imports() -> list[tuple[str, str]]:
    """(importer, imported) within the package."""
    modules = sorted(m for m in graph().modules if m.startswith("backend."))
    return [
        (importer, imported)
        for importer in modules
        for imported in sorted(graph().find_modules_directly_imported_by(importer))
        if imported.startswith("backend.")
    ]


def place(module: str) -> tuple[int, str]:
    """Number of the module's layer from the top, and what it belongs to there."""
    name = module.removeprefix("backend.")
    places = [
        (len(package), level, package)
        for level, layer in enumerate(LAYERS)
        for package in layer
        if name == package or name.startswith(f"{package}.")
    ]
    assert places, f"{module} has no place in LAYERS: say where it stands"
    return max(places)[1:]


def last_name(module: str) -> str:
    """The file's name, such as `repository`."""
    return module.rpartition(".")[2]


def test_imports_go_downward() -> None:
    upward = [
        f"{importer} imports {imported}"
        for importer, imported in imports()
        if (importer, imported) not in UPWARD
        and place(importer)[1] != place(imported)[1]
        and place(importer)[0] >= place(imported)[0]
    ]
    assert not upward, upward


def test_listed_upward_imports_are_still_needed() -> None:
    assert set(UPWARD) <= set(imports())


def test_modules_import_each_other_in_no_circle() -> None:
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for importer, imported in imports():
        if (importer, imported) not in UPWARD:
            sorter.add(importer, imported)
    sorter.prepare()


def test_flows_use_each_other_in_no_circle() -> None:
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for importer, imported in imports():
        if importer.startswith("backend.flows.") and imported.startswith("backend.flows."):
            mine, theirs = importer.split(".")[2], imported.split(".")[2]
            if mine != theirs:
                sorter.add(mine, theirs)
    sorter.prepare()


def test_models_import_nothing_of_their_room() -> None:
    wrong = [
        f"{importer} imports {imported}"
        for importer, imported in imports()
        if last_name(importer) == "models" and place(importer)[1] == place(imported)[1]
    ]
    assert not wrong, wrong


def test_repositories_import_no_caller_of_theirs() -> None:
    callers = ("routes", "worker", "stream", "service", "access", "flow", "handler")
    wrong = [
        f"{importer} imports {imported}"
        for importer, imported in imports()
        if last_name(importer) == "repository" and last_name(imported) in callers
    ]
    assert not wrong, wrong


def test_nobody_imports_routes() -> None:
    """app.py finds them by the names in rooms.py; what two routes share belongs below them."""
    wrong = [
        f"{importer} imports {imported}"
        for importer, imported in imports()
        if last_name(imported) == "routes"
    ]
    assert not wrong, wrong


def test_only_routes_know_the_web() -> None:
    wrong = [
        importer
        for importer, imported in imports()
        if imported == "backend.web" and importer != "backend.app" and last_name(importer) != "routes"
    ]
    assert not wrong, wrong


@pytest.mark.parametrize("library", ONLY_IN)
def test_library_stays_where_it_belongs(library: str) -> None:
    assert library in graph().modules, f"{library} is not used any more: take it off the list"
    strays = [
        module
        for module in sorted(graph().find_modules_that_directly_import(library))
        if not any(
            module == allowed or module.startswith(f"{allowed}.") or last_name(module) == allowed
            for allowed in ONLY_IN[library]
        )
    ]
    assert not strays, f"{library} belongs in {ONLY_IN[library]} only"


def test_web_process_does_not_carry_what_workers_need() -> None:
    """In an interpreter of its own, after importing all that serve.py imports, routes included."""
    program = (
        "import importlib, sys\n"
        "from backend.rooms import ROUTES\n"
        "for name in ('backend.app', 'backend.wiring', 'backend.db.schema', 'backend.logs', *ROUTES):\n"
        "    importlib.import_module(name)\n"
        "print('\\n'.join(sys.modules))\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = run.stdout.split()
    assert "backend.flows.ask.routes" in loaded
    assert [name for name in loaded if any(fnmatch(name, heavy) for heavy in WORKERS_ONLY)] == []


@pytest.mark.parametrize("heavy", WORKERS_ONLY)
def test_what_only_workers_carry_is_there(heavy: str) -> None:
    """Otherwise the test above would pass because something was renamed."""
    assert any(fnmatch(module, heavy) for module in graph().modules)


def test_only_settings_reads_the_environment() -> None:
    found = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "backend").rglob("*.py")
        if any(_touches_environment(node) for node in ast.walk(ast.parse(path.read_text())))
    }
    assert found <= set(ENVIRONMENT), found
    assert found == set(ENVIRONMENT), "no longer needed: take it off the list"


def _touches_environment(node: ast.AST) -> bool:
    names = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}
    if isinstance(node, ast.ImportFrom) and node.module == "os":
        return any(alias.name in names for alias in node.names)
    return (
        isinstance(node, ast.Attribute)
        and node.attr in names
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
    )
