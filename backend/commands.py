"""What the `secondbrain` command can do."""

import json
import os
import shutil
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer

from backend import __version__
from backend.administration import keys, tenant, user
from backend.errors import StateError
from backend.processes import configured, run_web, run_worker
from backend.settings import Settings, generate_key
from backend.syncing import connectors, sync

app = typer.Typer(
    help="The knowledge backend that needs nothing but Postgres.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def up(
    demo: Annotated[
        bool, typer.Option(help="Make a demo workspace with this project's documentation.")
    ] = False,
    reset: Annotated[bool, typer.Option(help="Delete the bundled server's data first.")] = False,
) -> None:
    """Run everything on this machine: bundled Postgres, three web instances, a worker."""
    from backend.up import up as run

    raise typer.Exit(run(Settings(), reset=reset, after_ready=_demo if demo else None))


@app.command()
def serve() -> None:
    """Run one web instance."""
    run_web()


@app.command()
def worker() -> None:
    """Run one worker."""
    run_worker()


@app.command()
def migrate() -> None:
    """Bring the database's schema to this version (DATABASE_OWNER_URL, else DATABASE_URL)."""
    from backend.bundled import locate_database
    from backend.db.migrate import migrate as run

    print(f"Schema at revision {run(locate_database(Settings()))}.")


@app.command()
def index(
    build_from: Annotated[
        int, typer.Option(min=1, help="Vectors from which on a workspace gets an index.")
    ] = 20_000,
) -> None:
    """Build the vector indexes of large workspaces and drop those no longer needed (DATABASE_OWNER_URL).

    Reads and writes go on meanwhile. For a timer, every few minutes; `up` does it by itself.
    """
    from backend.bundled import locate_database
    from backend.search.indexes.repository import maintain_indexes

    settings = locate_database(Settings())
    url = settings.database_owner_url.get_secret_value() or settings.database_url.get_secret_value()
    outcome = maintain_indexes(url, build_from=build_from)
    if outcome is None:
        print("Another process is at it.")
    else:
        print(f"{len(outcome.built)} built, {len(outcome.dropped)} dropped, {outcome.count} in all.")


@app.command()
def reindex(
    tenant: Annotated[str, typer.Argument(help="Short name of the workspace.")],
) -> None:
    """Have a workspace embedded by the configured model, in the background; the old vectors serve until then."""
    from backend.administration import installed_services, tenant_id_of
    from backend.flows.reembed.flow import begin_change

    with installed_services() as services:
        tenant_id = tenant_id_of(services, tenant)
        with services.db.transaction(tenant_id) as session:
            row = begin_change(session, tenant_id, services.embedder.model)
    if row is None:
        print("There are no documents yet; the first one is embedded by the configured model.")
    elif row.next_model is None:
        print(f"{row.model} serves already.")
    else:
        print(
            f"{row.next_model}: {row.done_count} of {row.total_count} passages; {row.model} serves until then."
        )


@app.command("import")
def import_folder(
    folder: Annotated[Path, typer.Argument(exists=True, readable=True, help="Folder or file to import.")],
    tenant: Annotated[str, typer.Option(help="Short name of the workspace.")],
) -> None:
    """Import a folder of files into a workspace; again, and only what changed is read.

    Exit code 0: everything is in; 2: some files could not be read, each is listed; 1: nothing could be done.
    """
    raise typer.Exit(_import(configured(), folder, tenant))


@app.command(context_settings={"ignore_unknown_options": True})
def psql(
    readonly: Annotated[bool, typer.Option(help="As the read-only operator role.")] = False,
    arguments: Annotated[list[str] | None, typer.Argument(help="Passed on to psql: -c, -f, -At ...")] = None,
) -> None:
    """Open psql on the configured database."""
    from backend.bundled import DATABASE, bundled_server, locate
    from backend.db.engine import READONLY_ROLE, libpq_url

    configured = Settings()
    settings = locate(configured)
    url = settings.database_owner_url.get_secret_value() or settings.database_url.get_secret_value()
    program = shutil.which("psql")
    if not configured.database_url.get_secret_value():
        server = bundled_server(settings)
        program = str(server.psql_path)
        if readonly:
            url = server.url(READONLY_ROLE, DATABASE)
    elif readonly:
        os.environ["PGOPTIONS"] = f"-c role={READONLY_ROLE}"
    if program is None:
        raise StateError("psql is not installed here.")
    os.execv(program, [program, libpq_url(url), *(arguments or ())])  # noqa: S606 - psql takes our place


@app.command()
def doctor() -> None:
    """Check the configuration and the database, and say what is wrong."""
    from backend.db.schema import require_current
    from backend.wiring import wire

    settings = configured()
    require_current(settings.database_url.get_secret_value())
    services = wire(settings)
    services.listener.start()
    with services.db.operator_transaction():
        print("database    ok")
    print(f"listener    {'ok' if services.listener.wait_until_connected(5) else 'not connected'}")
    print(f"signing     with key {services.keyring.signing_kid}")
    print(f"embeddings  {services.embedder.model}, {services.embedder.dimensions} dimensions")
    print(f"answers     {'language model' if services.chat_model else 'extracts'}")
    print(
        f"sources     {', '.join(services.oauth_providers) or 'none configured (see docs/configuration.md)'}"
    )
    services.close()


@app.command()
def config(
    name: Annotated[str, typer.Argument(help="What is configured, such as parser.")],
    publish: Annotated[
        str | None, typer.Option(help="Settings as JSON; what is left out has its default.")
    ] = None,
    seen: Annotated[
        int | None, typer.Option(help="Publish only if this is still the newest version.")
    ] = None,
) -> None:
    """Show or publish what counts for all workspaces that have no config of their own."""
    from backend.configs.repository import ConfigRepository
    from backend.configs.schemas import schema_of, validated
    from backend.wiring import wire

    fresh = None if publish is None else validated(name, json.loads(publish))
    services = wire(configured())
    try:
        with services.db.operator_transaction() as session:
            configs = ConfigRepository(session)
            if fresh is not None:
                configs.publish(None, fresh, expected=seen)
            newest = next(iter(configs.history(None, name, limit=1)), None)
    finally:
        services.close()
    settings = schema_of(name)().model_dump() if newest is None else newest.settings
    print(json.dumps({"version": 0 if newest is None else newest.version, "settings": settings}, indent=2))


@app.command("generate-key")
def generate_key_command() -> None:
    """Print a fresh key for SECRET_KEYS."""
    print(generate_key())


@app.command()
def version() -> None:
    """Print the version."""
    print(__version__)


def _import(settings: Settings, folder: Path, slug: str) -> int:
    from rich.console import Console
    from rich.progress import track

    from backend.scratch import use_private_folder

    use_private_folder()
    from backend.flows.import_folder.flow import Outcome, find_files, import_files
    from backend.flows.ingest_document.reading import open_reader
    from backend.tenants.repository import TenantRepository
    from backend.wiring import wire

    console = Console()
    services = wire(settings)
    reader = open_reader(services.embedder)
    try:
        with services.db.operator_transaction() as session:
            tenant = TenantRepository(session).get_tenant_by_slug(slug)
        files = find_files(folder)
        outcomes: list[Outcome] = []
        steps = import_files(
            services.db,
            services.configs,
            services.storing_embedder(tenant.id),
            reader,
            tenant.id,
            folder,
            files,
        )
        for outcome in track(steps, f"Importing into {slug}", total=len(files), console=console):
            outcomes.append(outcome)
            if outcome.state == "failed":
                console.print(f"  {outcome.name}: {outcome.reason}", markup=False, highlight=False)
    finally:
        reader.close()
        services.close()
    count = {state: sum(o.state == state for o in outcomes) for state in ("stored", "unchanged", "failed")}
    console.print(
        f"{count['stored']} stored ({sum(o.chunks for o in outcomes)} passages), "
        f"{count['unchanged']} unchanged, {count['failed']} failed",
        highlight=False,
    )
    if not files:
        console.print("There are no files in this folder.")
        return 1
    return 2 if count["failed"] else 0


def _demo(settings: Settings, supervisor: "object") -> None:
    from backend.supervisor import Supervisor
    from backend.tenants.repository import EmailExists, TenantRepository
    from backend.up import demo_login
    from backend.wiring import wire

    assert isinstance(supervisor, Supervisor)  # noqa: S101 - up() passes nothing else
    login = demo_login(settings)
    services = wire(settings)
    tenant_id = uuid4()
    try:
        with services.db.transaction(tenant_id) as session:
            repository = TenantRepository(session)
            repository.create_tenant(tenant_id, name="Demo")
            repository.create_user(
                tenant_id,
                email=login["email"],
                full_name="Demo",
                role="admin",
                password_hash=services.passwords.hash(login["password"]),
            )
    except EmailExists:
        pass
    finally:
        services.close()
    root = Path(__file__).parents[1]
    for path in (root / "README.md", root / "CHANGELOG.md", root / "docs"):
        if path.exists():
            _import(settings, path, "demo")
    base = f"http://localhost:{settings.port}"
    supervisor.say(
        f"Demo workspace: {login['email']} / {login['password']}\n"
        f"Ask it something at {base}/api/desk, or here:\n"
        f"  TOKEN=$(curl -s {base}/api/auth/login -H 'Content-Type: application/json' \\\n"
        f"    -d '{json.dumps(login)}' | python3 -c 'import json,sys; print(json.load(sys.stdin)[\"tokens\"][\"access_token\"])')\n"
        f"  curl -s {base}/api/search -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' \\\n"
        '    -d \'{"query": "What happens when a worker is killed?"}\''
    )


def command_line() -> typer.Typer:
    """Everything; made once a process."""
    app.command()(connectors)
    app.command()(sync)
    app.add_typer(tenant, name="tenant")
    app.add_typer(user, name="user")
    app.add_typer(keys, name="keys")
    return app
