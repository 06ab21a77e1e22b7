"""Gmail and Google Drive from consent to documents: the real engine against the emulator."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import stamina

from backend.configs.follower import ConfigFollower
from backend.connectors.catalogue import load_providers
from backend.connectors.credentials.repository import CredentialRepository
from backend.connectors.models import Connector
from backend.connectors.providers.contract import Credentials
from backend.connectors.providers.provider import OAuthApp
from backend.connectors.repository import ConnectorRepository
from backend.db.listen import Listener
from backend.embeddings.providers.local import LocalEmbedder
from backend.flows.sync_connector.credentials import CredentialKeeper
from backend.flows.sync_connector.flow import JOB_KIND, start_sync
from backend.flows.sync_connector.handler import SyncHandler
from backend.jobs.repository import JobRepository
from backend.jobs.workers.repository import WorkerRepository
from backend.keyring import Keyring
from backend.sync.models import SyncRun
from backend.sync.repository import SyncRunRepository
from tests.conftest import TestDatabase
from tests.emulators.google import CLIENT_ID, CLIENT_SECRET, REDIRECT_URI, GoogleEmulator, google_emulator
from tests.emulators.google_seed import (
    COLLEAGUE,
    USER,
    Mail,
    Seed,
    drive_seed,
    file_sentence,
    mail_seed,
    thread_sentence,
)
from tests.emulators.scripted import json_reply
from tests.readers import shared_reader

THREADS, FILES = 40, 60
VERIFIER = "a-verifier-of-at-least-forty-three-characters-0123456789"
REFUSED = json_reply({"error": {"code": 401, "status": "UNAUTHENTICATED"}}, 401)


@pytest.fixture(scope="module")
def google() -> Iterator[GoogleEmulator]:
    seed = Seed(mail_seed(THREADS).mails, drive_seed(FILES).files)
    with google_emulator(seed) as emulator, stamina.set_testing(True, attempts=4, cap=True):
        yield emulator


class Workspace:
    """A workspace that has connected one source, and a worker."""

    def __init__(self, database: TestDatabase, keyring: Keyring, google: GoogleEmulator, name: str) -> None:
        self.database, self.db, self.keyring = database, database.db, keyring
        self.account = database.make_tenant()
        provider = load_providers()[name]
        assert provider.make_oauth is not None
        self.oauth = provider.make_oauth(
            OAuthApp(CLIENT_ID, CLIENT_SECRET, authorize_base=google.base_url, api_base=google.base_url)
        )
        self.connector = self._connect(google, name)
        self.handler = SyncHandler(
            db=self.db,
            keeper=CredentialKeeper(self.db, keyring, {name: self.oauth}),
            embedder_for=lambda _: LocalEmbedder(),
            configs=ConfigFollower(self.db, Listener(database.url)),
            reader=shared_reader(),
            providers={name: provider},
            api_bases={name: google.base_url},
        )
        with self.db.operator_transaction() as session:
            self.worker_id = WorkerRepository(session).register(name="test", version="0")

    def _connect(self, google: GoogleEmulator, name: str) -> Connector:
        url = self.oauth.authorization_url(redirect_uri=REDIRECT_URI, state="s", code_verifier=VERIFIER)
        code = parse_qs(urlsplit(google.authorize(url, USER)).query)["code"][0]
        held = self.oauth.exchange(code=code, redirect_uri=REDIRECT_URI, code_verifier=VERIFIER)
        whose = self.oauth.account(held)
        tenant_id = self.account.tenant_id
        with self.db.transaction(tenant_id) as session:
            connector = ConnectorRepository(session).connect(
                tenant_id,
                name,
                connected_by=self.account.user_id,
                account_id=whose.external_id,
                account_label=whose.label,
            )
            CredentialRepository(session, self.keyring).store(
                tenant_id, connector.id, held.to_json(), expires_at=held.expires_at
            )
        return connector

    def sync(self, *, is_full: bool = False) -> SyncRun:
        """A run to its end."""
        with self.db.transaction(self.account.tenant_id) as session:
            run = start_sync(session, self.connector, requested_by=self.account.user_id, is_full=is_full)[0]
        with self.db.operator_transaction() as session:
            (claim,) = JobRepository(session).claim(self.worker_id, (JOB_KIND,))
        self.handler.run(claim, lambda: False)
        with self.db.transaction(self.account.tenant_id) as session:
            return SyncRunRepository(session).get(self.account.tenant_id, run.id)

    def documents(self) -> dict[str, tuple[str, str, str]]:
        """(source type, kind, content) of what is stored, by external id."""
        with self.database.admin() as connection:
            rows = connection.execute(
                "SELECT external_id, source_type, kind, content FROM documents"
                " WHERE tenant_id = %s AND deleted_at IS NULL",
                (self.account.tenant_id,),
            ).fetchall()
        return {str(row[0]): (str(row[1]), str(row[2]), str(row[3])) for row in rows}


@pytest.fixture
def connect(
    own_database: TestDatabase, keyring: Keyring, google: GoogleEmulator
) -> Callable[[str], Workspace]:
    """Connects a workspace to one of the sources."""
    return lambda name: Workspace(own_database, keyring, google, name)


def test_mail_is_synced_and_kept_up_to_date(
    google: GoogleEmulator, connect: Callable[[str], Workspace]
) -> None:
    workspace = connect("gmail")
    # In the middle of the first pass the access token ends; it is renewed once, and the pass goes on.
    google.fail("/threads/t30?", REFUSED)
    run = workspace.sync()
    assert (run.state, run.stored_count) == ("completed", THREADS + THREADS // 10)
    stored = workspace.documents()
    assert {f"thread:t{n}" for n in range(THREADS)} <= set(stored)
    assert stored["thread:t9"][:2] == ("email", "thread")
    assert thread_sentence(9) in stored["thread:t9"][2]
    assert stored["attachment:t20:m20b:0"][1] == "attachment"

    date = "Tue, 03 Mar 2026 10:00:00 +0000"
    google.receive_mail(
        USER, Mail("late", "t9", "Re: Late", "One more thing.", date, sender=COLLEAGUE, to=USER)
    )
    google.label_thread(USER, "t20", add=("TRASH",))
    google.delete_thread(USER, "t21")
    run = workspace.sync()
    assert (run.state, run.stored_count) == ("completed", 1)
    now = workspace.documents()
    assert set(stored) - set(now) == {"thread:t20", "attachment:t20:m20b:0", "thread:t21"}
    assert "One more thing." in now["thread:t9"][2]

    run = workspace.sync(is_full=True)
    assert (run.state, run.stored_count) == ("completed", 0)
    assert workspace.documents() == now


def test_files_are_synced_and_kept_up_to_date(
    google: GoogleEmulator, connect: Callable[[str], Workspace]
) -> None:
    workspace = connect("google_drive")
    run = workspace.sync()
    assert (run.state, run.stored_count) == ("completed", FILES)
    stored = workspace.documents()
    assert stored["file:file_7"][:2] == ("google_drive", "file")
    assert file_sentence(7) in stored["file:file_7"][2]

    new = google.upload(USER, "new.md", b"# New\n\nNobody knew this before.\n")
    google.rename(USER, "folder_50", "Renamed")
    google.remove("file_7")
    run = workspace.sync()
    # The new one, and ten whose folder is another one now.
    assert (run.state, run.stored_count) == ("completed", 11)
    now = workspace.documents()
    assert set(now) == (set(stored) | {f"file:{new}"}) - {"file:file_7"}

    run = workspace.sync()
    assert (run.state, run.stored_count, run.processed_count) == ("completed", 0, 0)


def test_grant_that_was_taken_back_asks_to_connect_again(
    google: GoogleEmulator, connect: Callable[[str], Workspace]
) -> None:
    workspace = connect("gmail")
    tenant_id = workspace.account.tenant_id
    with workspace.db.transaction(tenant_id) as session:
        credentials = CredentialRepository(session, workspace.keyring)
        held = replace(
            Credentials.from_json(credentials.open(tenant_id, workspace.connector.id).secret),
            expires_at=datetime.now(UTC) - timedelta(minutes=1),
        )
        credentials.store(tenant_id, workspace.connector.id, held.to_json(), expires_at=held.expires_at)
    workspace.oauth.revoke(held)
    google.fail("/gmail/v1/", REFUSED, REFUSED, REFUSED)
    run = workspace.sync()
    google.front.faults.clear()
    assert run.state == "failed"
    with workspace.db.transaction(tenant_id) as session:
        connector = ConnectorRepository(session).get(tenant_id, "gmail")
        assert connector.status == "needs_reconnect"
        assert connector.status_reason
