"""The `secondbrain` command, run as operators run it."""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from backend.connectors.repository import ConnectorRepository
from backend.flows.sync_connector.flow import cancel_sync
from backend.settings import Settings, generate_key
from backend.sync.repository import SyncRunRepository
from tests.conftest import KEYS, Account, TestDatabase

ROOT = Path(__file__).parents[1]


def run(
    *arguments: str, database: TestDatabase | None = None, **env: str
) -> "subprocess.CompletedProcess[str]":
    """One command; with `database` it is the configured one."""
    keep = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    if database is not None:
        env = {"DATABASE_URL": database.url, "DATABASE_OWNER_URL": database.admin_url, **env}
    return subprocess.run(
        [sys.executable, "-m", "backend.cli", *arguments],
        cwd=ROOT,
        env={**keep, "SECRET_KEYS": KEYS, "COLUMNS": "200", **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "guides").mkdir()
    (tmp_path / "guides" / "backup.md").write_text("# Backups\n\nBackups run at two o'clock.\n")
    (tmp_path / "notes.txt").write_bytes("Caf\xe9 opens at nine.".encode("latin-1"))
    (tmp_path / ".hidden.md").write_text("Nobody asked for this.")
    (tmp_path / "link.md").symlink_to("/etc/hostname")
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "readme.md").write_text("A package's.")
    return tmp_path


def titles(database: TestDatabase, account: Account) -> list[str]:
    with database.admin() as connection:
        rows = connection.execute(
            "SELECT metadata ->> 'path' FROM documents WHERE tenant_id = %s ORDER BY 1", (account.tenant_id,)
        ).fetchall()
    return [str(row[0]) for row in rows]


def test_import_stores_a_folder_and_then_only_what_changed(
    database: TestDatabase, account: Account, folder: Path
) -> None:
    first = run("import", str(folder), "--tenant", account.slug, database=database)
    assert (first.returncode, "2 stored" in first.stdout) == (0, True), first.stdout + first.stderr
    assert titles(database, account) == ["guides/backup.md", "notes.txt"]
    (folder / "notes.txt").write_text("Closed now.")
    again = run("import", str(folder), "--tenant", account.slug, database=database)
    assert "1 stored" in again.stdout
    assert "1 unchanged, 0 failed" in again.stdout
    with database.admin() as connection:
        row = connection.execute(
            "SELECT content FROM documents WHERE tenant_id = %s AND metadata ->> 'path' = 'notes.txt'",
            (account.tenant_id,),
        ).fetchall()
    assert row == [("Closed now.",)]


def test_import_names_what_cannot_be_read_and_takes_the_rest(
    database: TestDatabase, account: Account, folder: Path
) -> None:
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 this is not one")
    (folder / "empty.md").write_bytes(b"")
    done = run("import", str(folder), "--tenant", account.slug, database=database)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "2 stored" in done.stdout
    assert "2 failed" in done.stdout
    assert "broken.pdf: " in done.stdout
    assert "empty.md: " in done.stdout


def test_import_same_names_in_two_folders_stay_two_documents(
    database: TestDatabase, account: Account, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "readme.md").write_text(f"The readme of {name}.")
        done = run("import", str(tmp_path / name), "--tenant", account.slug, database=database)
        assert done.returncode == 0
    assert titles(database, account) == ["readme.md", "readme.md"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("import", ".", "--tenant", "no-such-workspace"),
            "There is no workspace called 'no-such-workspace'.",
        ),
        (("import", "/nowhere", "--tenant", "x"), "does not exist"),
    ],
)
def test_import_refuses_with_one_clear_sentence(
    database: TestDatabase, arguments: tuple[str, ...], said: str
) -> None:
    refused = run(*arguments, database=database)
    assert refused.returncode in (1, 2)
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr


def test_config_publishes_for_all_and_imports_follow(own_database: TestDatabase, tmp_path: Path) -> None:
    account = own_database.make_tenant()
    shown = run("config", "parser", database=own_database)
    assert json.loads(shown.stdout)["version"] == 0, shown.stderr
    settings = json.dumps({"chunk_characters": 300, "max_bytes": 5000})
    published = run("config", "parser", "--publish", settings, "--seen", "0", database=own_database)
    assert json.loads(published.stdout)["settings"]["chunk_characters"] == 300, published.stderr
    late = run("config", "parser", "--publish", settings, "--seen", "0", database=own_database)
    assert (late.returncode, late.stdout) == (1, "")
    assert "was changed since" in late.stderr
    for text in ('{"chunk_characters": 1}', '{"tyop": 1}', "[]", "{"):
        refused = run("config", "parser", "--publish", text, database=own_database)
        assert refused.returncode == 1, text
        assert "Error: " in refused.stderr
        assert "Traceback" not in refused.stderr

    (tmp_path / "notes.txt").write_text("This is a sentence of some length. " * 50)
    (tmp_path / "large.txt").write_text("Much more. " * 1000)
    done = run("import", str(tmp_path), "--tenant", account.slug, database=own_database)
    assert "1 stored" in done.stdout
    assert "large.txt: The file has 11000 bytes; at most 5000 are read." in done.stdout
    with own_database.admin() as connection:
        assert connection.execute("SELECT max(length(text)) <= 300 FROM chunks").fetchone() == (True,)


def test_psql_opens_the_configured_database(database: TestDatabase) -> None:
    path = f"{database.server.psql_path.parent}:{os.environ['PATH']}"
    arguments = ("-Atc", "SELECT current_database(), count(*) > 0 FROM tenants")
    shown = run("psql", *arguments, database=database, PATH=path)
    assert shown.stdout.startswith(f"{database.name}|"), shown.stderr
    readonly = (
        "psql",
        "--readonly",
        "--",
        "-Atc",
        "SELECT count(*) >= 0 FROM ops.tenants",
        "-c",
        "TABLE users",
    )
    limited = run(*readonly, database=database, PATH=path)
    assert limited.stdout == "t\n"
    assert "permission denied for table users" in limited.stderr


def test_doctor_says_what_is_configured(database: TestDatabase) -> None:
    said = run("doctor", database=database)
    assert said.returncode == 0, said.stderr
    assert "database    ok" in said.stdout
    assert "listener    ok" in said.stdout
    assert "256 dimensions" in said.stdout


@pytest.mark.parametrize("command", ["serve", "worker", "doctor"])
def test_process_refuses_a_database_that_was_never_migrated(command: str, own_database: TestDatabase) -> None:
    with own_database.admin() as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    refused = run(command, database=own_database)
    assert refused.returncode != 0
    assert "secondbrain migrate" in refused.stderr + refused.stdout


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"SECRET_KEYS": "a:not-base64!"}, "is not base64"),
        ({"SECRET_KEYS": "a:c2hvcnQ="}, "it must have 32"),
        ({"PORT": "many"}, "PORT"),
        ({"EMBEDDING_BASE_URL": "http://localhost:1"}, "EMBEDDING_MODEL"),
    ],
)
def test_bad_setting_is_one_line(env: dict[str, str], said: str) -> None:
    refused = run("doctor", database=None, **env)
    assert refused.returncode == 1
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr


def test_without_a_database_says_how_to_get_one(tmp_path: Path) -> None:
    refused = run("doctor", SECONDBRAIN_DATA_DIR=str(tmp_path))
    assert refused.returncode == 1
    assert "scripts/up" in refused.stderr


def test_generated_key_is_accepted() -> None:
    made = run("generate-key").stdout.strip()
    assert Settings.model_validate({"SECRET_KEYS": made}).secret_keys


def test_workspace_and_person_are_deactivated_and_activated(database: TestDatabase, account: Account) -> None:
    def is_active() -> tuple[object, ...] | None:
        with database.admin() as connection:
            return connection.execute(
                "SELECT t.deactivated_at IS NULL, u.deactivated_at IS NULL FROM tenants AS t, users AS u"
                " WHERE t.id = u.tenant_id AND t.id = %s",
                (account.tenant_id,),
            ).fetchone()

    for arguments, active in (
        (("tenant", "deactivate", account.slug), (False, True)),
        (("user", "deactivate", account.email.upper()), (False, False)),
        (("tenant", "activate", account.slug), (True, False)),
        (("user", "activate", account.email), (True, True)),
    ):
        done = run(*arguments, database=database)
        assert (done.returncode, done.stderr) == (0, ""), arguments
        assert is_active() == active
    for arguments in (("tenant", "deactivate", "nowhere"), ("user", "activate", "nobody@example.org")):
        done = run(*arguments, database=database)
        assert done.returncode == 1
        assert arguments[2] in done.stderr


def test_keys_are_listed_and_rotated(own_database: TestDatabase) -> None:
    secret_keys = generate_key()
    kids = []
    for how, words in (((), "signs in 5 minutes"), (("--now",), "is void")):
        done = run("keys", "rotate", *how, database=own_database, SECRET_KEYS=secret_keys)
        assert (done.returncode, words in done.stdout) == (0, True), done.stdout + done.stderr
        kids.append(done.stdout.partition(" ")[0])
    listed = run("keys", "list", database=own_database, SECRET_KEYS=secret_keys).stdout.splitlines()
    assert [line.partition(" ")[0] for line in listed] == kids[::-1]
    assert "newest" in listed[0]
    assert "(compromised)" in listed[1]
    assert all(f"sealed with {secret_keys.partition(':')[0]}" in line for line in listed)
    assert secret_keys.partition(":")[2] not in "".join(listed)
    # With another master key nothing is signed, and the way out is there.
    done = run("doctor", database=own_database)
    assert (done.returncode, "SECRET_KEYS" in done.stderr) == (1, True)
    assert run("keys", "rotate", "--now", database=own_database).returncode == 0


def test_connectors_lists_and_sync_queues_and_waits(database: TestDatabase, account: Account) -> None:
    with database.db.transaction(account.tenant_id) as session:
        connectors = ConnectorRepository(session)
        connector = connectors.connect(
            account.tenant_id, "github", connected_by=account.user_id, account_id="1", account_label="octocat"
        )
        connectors.need_reconnect(account.tenant_id, connector.id, "It was revoked.")
    listed = run("connectors", account.slug, database=database)
    heading, row, reason = listed.stdout.splitlines()
    assert heading.split("  ")[0] == "WORKSPACE"
    assert [account.slug, "github", "needs_reconnect", "octocat", "never", "-", "0"] == row.split()
    assert reason == f"{account.slug} github: It was revoked."
    assert account.slug in run("connectors", database=database).stdout
    assert run("connectors", "nowhere", database=database).returncode == 1
    assert run("sync", account.slug, "slack", database=database).returncode == 1

    queued = run("sync", account.slug, "github", "--full", database=database)
    assert (queued.returncode, "is queued" in queued.stdout) == (0, True), queued.stderr
    with database.db.transaction(account.tenant_id) as session:
        runs = SyncRunRepository(session)
        (made,) = runs.list_latest(account.tenant_id).values()
        assert (made.trigger, made.is_full) == ("command line", True)
        cancel_sync(session, made)
    # Over already, by the time it is waited for, or ended by somebody else: it returns and says how.
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(run, "sync", account.slug, "github", "--wait", database=database)
        while True:
            with database.db.transaction(account.tenant_id) as session:
                (newest,) = SyncRunRepository(session).list_latest(account.tenant_id).values()
                if newest.id != made.id:
                    cancel_sync(session, newest)
                    break
            time.sleep(0.1)
        ended = waiting.result()
    assert (ended.returncode, "cancelled: 0 stored" in ended.stdout) == (2, True), ended.stdout
    assert "cancelled" in run("connectors", account.slug, database=database).stdout
