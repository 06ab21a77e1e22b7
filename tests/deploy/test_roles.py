"""deploy/roles.sql against a real server that asks for passwords: then migrations as the owner, the product as the app."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType

import psycopg
import pytest

from backend.db.embedded import EmbeddedPostgres
from backend.db.engine import APP_ROLE, OWNER_ROLE, libpq_url
from backend.settings import generate_key
from tests.conftest import FAST
from tests.deploy.files import ROOT

PASSWORDS = MappingProxyType(
    {"DATABASE_OWNER_PASSWORD": "owner-0123456789", "DATABASE_APP_PASSWORD": "app-0123456789abc"}
)


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    """A server that trusts nobody but its administrator, with an empty database `product`."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="secondbrain-roles-")))
        folder.chmod(0o755)
        rules = folder / "pg_hba.conf"
        rules.write_text("local all postgres trust\nlocal all all scram-sha-256\n")
        rules.chmod(0o644)
        settings = {**FAST, "hba_file": str(rules), "log_statement": "all"}
        postgres = EmbeddedPostgres(folder / "postgres", settings=settings)
        postgres.start(bound_to_parent=True)
        stack.callback(postgres.stop, "immediate")
        with psycopg.connect(postgres.url("postgres", "postgres"), autocommit=True) as connection:
            connection.execute("CREATE DATABASE product")
        yield postgres


def prepare(server: EmbeddedPostgres, **passwords: str) -> "subprocess.CompletedProcess[str]":
    """deploy/roles.sql, run as docker-compose.yml runs it."""
    return subprocess.run(
        [server.psql_path, "--no-psqlrc", "--quiet", "--file", ROOT / "deploy" / "roles.sql"],
        env={
            "PATH": os.environ["PATH"],
            "PGHOST": str(server.socket_dir),
            "PGUSER": "postgres",
            "PGDATABASE": "product",
            **passwords,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def url(server: EmbeddedPostgres, role: str, password: str) -> str:
    return server.url(f"{role}", "product").replace("@/", f":{password}@/", 1)


def command(server: EmbeddedPostgres, name: str, **env: str) -> "subprocess.CompletedProcess[str]":
    """One `secondbrain` command with nothing in its environment but what is given."""
    return subprocess.run(
        [sys.executable, "-m", "backend.cli", name],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "SECRET_KEYS": generate_key(),
            "DATABASE_URL": url(server, APP_ROLE, PASSWORDS["DATABASE_APP_PASSWORD"]),
            **env,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_makes_logins_with_which_the_product_runs(server: EmbeddedPostgres) -> None:
    for _ in range(2):
        made = prepare(server, **PASSWORDS)
        assert (made.returncode, made.stdout, made.stderr) == (0, "", "")
    owner = url(server, OWNER_ROLE, PASSWORDS["DATABASE_OWNER_PASSWORD"])
    for _ in range(2):
        migrated = command(server, "migrate", DATABASE_OWNER_URL=owner)
        assert migrated.returncode == 0, migrated.stderr
    assert prepare(server, **PASSWORDS).returncode == 0
    checked = command(server, "doctor")
    assert checked.returncode == 0, checked.stderr
    assert "database    ok\nlistener    ok\n" in checked.stdout
    with psycopg.connect(server.url("postgres", "product")) as connection:
        owners = connection.execute(
            "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
        ).fetchall()
        powers = connection.execute(
            "SELECT rolname, rolcanlogin, rolcreaterole, rolsuper OR rolbypassrls OR rolcreatedb FROM pg_roles"
            " WHERE rolname LIKE 'secondbrain%' AND (rolcanlogin OR rolcreaterole OR rolsuper OR rolbypassrls)"
            " ORDER BY rolname"
        ).fetchall()
    assert owners == [(OWNER_ROLE,)]
    assert powers == [(APP_ROLE, True, False, False), (OWNER_ROLE, True, True, False)]


def test_changes_a_password(server: EmbeddedPostgres) -> None:
    assert prepare(server, **PASSWORDS).returncode == 0
    changed = {**PASSWORDS, "DATABASE_APP_PASSWORD": "another-0123456789"}
    assert prepare(server, **changed).returncode == 0
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(libpq_url(url(server, APP_ROLE, PASSWORDS["DATABASE_APP_PASSWORD"])))
    psycopg.connect(libpq_url(url(server, APP_ROLE, "another-0123456789"))).close()


@pytest.mark.parametrize("password", ["", "short", "with:colon-0123456789", "with@sign-0123456789"])
def test_refuses_a_password_that_is_missing_or_breaks_a_url(server: EmbeddedPostgres, password: str) -> None:
    refused = prepare(server, DATABASE_OWNER_PASSWORD="owner-0123456789", DATABASE_APP_PASSWORD=password)
    assert refused.returncode == 3
    assert "16 or more letters" in refused.stderr


def test_keeps_passwords_out_of_the_log(server: EmbeddedPostgres) -> None:
    secret = {"DATABASE_OWNER_PASSWORD": "unseen-0123456789a", "DATABASE_APP_PASSWORD": "unseen-0123456789b"}
    assert prepare(server, **secret).returncode == 0
    log = server.log_path.read_text()
    assert "CREATE DATABASE product" in log, "statements are logged"
    assert "unseen-" not in log
