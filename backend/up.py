"""`secondbrain up`: the bundled server, migrations, three web instances and a worker on one machine."""

import json
import os
import secrets
import shutil
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from backend.bundled import NoDatabase, bundled_server, prepare_bundled, with_bundled, with_keys
from backend.db.embedded import EmbeddedPostgres
from backend.db.engine import without_password
from backend.db.migrate import migrate
from backend.errors import StateError
from backend.ports import answers, require_free_port
from backend.search.indexes.repository import maintain_indexes
from backend.settings import Settings
from backend.supervisor import Supervisor

INSTANCES = 3
#: An instance's own port is this far above the shared one: 5003 is shared, 5011 to 5013 are their own.
_OWN_PORTS_ABOVE = 8
_WATCH_SECONDS = 0.5
_INDEX_SECONDS = 600.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Plan:
    """What one `up` starts."""

    settings: Settings
    instance_ports: tuple[int, ...]

    @property
    def addresses(self) -> list[str]:
        return [f"http://{_shown(self.settings.host)}:{port}" for port in self.instance_ports]


def up(settings: Settings, *, reset: bool, after_ready: Callable[[Settings, Supervisor], None] | None) -> int:
    """Runs until Ctrl-C; returns the exit code. `after_ready` is called once everything answers."""
    plan = Plan(settings, tuple(settings.port + _OWN_PORTS_ABOVE + n for n in range(INSTANCES)))
    started = time.monotonic()
    server: EmbeddedPostgres | None = None
    is_bundled = not settings.database_url.get_secret_value()
    with Supervisor() as supervisor:
        try:
            _check_ports(plan)
            if is_bundled:
                server = bundled_server(settings)
                if reset:
                    _reset(settings, server)
                supervisor.say(f"Starting the bundled Postgres in {server.directory}")
                settings.data_dir.mkdir(parents=True, exist_ok=True)
                server.start(bound_to_parent=True)
                prepare_bundled(server)
                settings = with_bundled(settings, server)
            else:
                if reset:
                    raise NoDatabase("--reset is for the bundled server; DATABASE_URL names another one.")
                shown = without_password(settings.database_url.get_secret_value())
                supervisor.say(f"Using the database server of DATABASE_URL: {shown}")
            settings = with_keys(settings)
            changed = migrate(settings)
            supervisor.say(f"Database schema at revision {changed}")
            _start_children(supervisor, settings, plan)
            supervisor.wait_until(
                lambda: all(answers(f"{address}/api/health") for address in plan.addresses), "the web server"
            )
            _introduce(supervisor, settings, plan, time.monotonic() - started)
            _index_from_time_to_time(settings)
            if after_ready is not None:
                after_ready(settings, supervisor)
            _watch(supervisor, server)
        except KeyboardInterrupt:
            pass
        except StateError as error:
            supervisor.say(f"Error: {error.message}")
            return 1
        finally:
            supervisor.stop()
            if server is not None:
                server.stop("immediate" if supervisor.hurried else "fast")
    return 0


def _index_from_time_to_time(settings: Settings) -> None:
    """Only here are the owner's rights at hand. Ended with the process: what is half built is built again."""
    url = settings.database_owner_url.get_secret_value()
    if not url:
        return

    def run() -> None:
        while True:
            time.sleep(_INDEX_SECONDS)
            try:
                maintain_indexes(url)
            except Exception:  # noqa: BLE001 - logged; the next turn may go better
                _log.exception("vector indexes not looked after")

    threading.Thread(target=run, name="vector indexes", daemon=True).start()


def _watch(supervisor: Supervisor, server: EmbeddedPostgres | None) -> None:
    """Until a signal comes; the bundled server is started again when it dies, like every other process."""
    if server is None:
        supervisor.run()
        return
    while True:
        time.sleep(_WATCH_SECONDS)
        if not server.is_running():
            supervisor.say("The bundled Postgres is gone; starting it again")
            # By this thread: the kernel ends the server together with the thread that started it.
            server.start(bound_to_parent=True)


def _check_ports(plan: Plan) -> None:
    for port in (plan.settings.port, *plan.instance_ports):
        require_free_port(
            plan.settings.host, port, f"PORT=… (now {plan.settings.port}; the others follow it)"
        )


def _reset(settings: Settings, server: EmbeddedPostgres) -> None:
    server.stop("immediate")
    for path in (server.directory, server.directory.with_name(server.directory.name + ".lock")):
        shutil.rmtree(path, ignore_errors=True)
    for name in ("secret_keys", "demo.json"):
        (settings.data_dir / name).unlink(missing_ok=True)


def _start_children(supervisor: Supervisor, settings: Settings, plan: Plan) -> None:
    shared = {
        **os.environ,
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "SECRET_KEYS": ",".join(f"{kid}:{key.get_secret_value()}" for kid, key in settings.secret_keys),
        "LOG_FORMAT": os.environ.get("LOG_FORMAT", "console"),
        "LOG_LEVEL": os.environ.get("LOG_LEVEL", "warning"),
        "PYTHONUNBUFFERED": "1",
    }
    shared.pop("DATABASE_OWNER_URL", None)
    command = (sys.executable, "-m", "backend.cli")
    for number, port in enumerate(plan.instance_ports, 1):
        name = f"web{number}"
        supervisor.start(
            name, (*command, "serve"), {**shared, "INSTANCE_PORT": str(port), "INSTANCE_NAME": name}
        )
    supervisor.start("worker", (*command, "worker"), {**shared, "INSTANCE_NAME": "worker1"})


def _introduce(supervisor: Supervisor, settings: Settings, plan: Plan, seconds: float) -> None:
    shared = f"http://{_shown(settings.host)}:{settings.port}"
    supervisor.say(
        f"Ready after {seconds:.1f} s.\n"
        f"  API          {shared}   ({INSTANCES} instances share it; the kernel balances)\n"
        f"  one by one   {'   '.join(plan.addresses)}\n"
        f"  in a browser {shared}/api/desk   (ask, check citations, hand files in)\n"
        f"  health       {shared}/api/health      description  {shared}/openapi.json\n"
        "  database     .venv/bin/secondbrain psql, then for example: TABLE ops.sync_runs;\n"
        "Ctrl-C stops everything; the data stays."
    )


def demo_login(settings: Settings) -> dict[str, str]:
    """E-mail and password of the demo account, made up once and kept in the data folder."""
    path = settings.data_dir / "demo.json"
    if not path.exists():
        login = {"email": "demo@example.com", "password": f"Demo-{secrets.token_urlsafe(9)}-1a"}
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(login, file)
    loaded: dict[str, str] = json.loads(Path(path).read_text())
    return loaded


def _shown(host: str) -> str:
    return "localhost" if host in ("127.0.0.1", "0.0.0.0", "::") else host  # noqa: S104 - compared, not bound
