"""Credentials that end: renewed once, by one process for all; when only a person helps, nothing is lost."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from backend.connectors.credentials.repository import CredentialRepository
from backend.connectors.providers.contract import (
    Credentials,
    CredentialsRejected,
    ProviderUnavailable,
)
from backend.flows.sync_connector.credentials import CredentialKeeper
from backend.jobs.claim import LeaseLost
from backend.jobs.repository import JobRepository
from tests.flows.sync_connector.scene import TOKEN, Scene, item


class Renewals:
    """An OAuth provider whose refresh tokens work once each, as rotating ones do."""

    def __init__(self) -> None:
        self.spent: list[str] = []
        self.before: Callable[[], None] = lambda: None
        self.error: Exception | None = None
        self._lock = threading.Lock()

    def refresh(self, credentials: Credentials) -> Credentials:
        self.before()
        if self.error is not None:
            raise self.error
        token = credentials.refresh_token or ""
        with self._lock:
            if token in self.spent:
                raise CredentialsRejected
            self.spent.append(token)
        number = len(self.spent) + 1
        return replace(
            credentials,
            access_token=f"token-{number}",
            refresh_token=f"refresh-{number}",
            expires_at=datetime.now(UTC) + timedelta(hours=1),
        )


@pytest.fixture
def renewals(scene: Scene) -> Renewals:
    renewals = Renewals()
    scene.oauth_providers["github"] = renewals  # type: ignore[assignment]
    return renewals


def stored(scene: Scene) -> Credentials:
    with scene.db.transaction(scene.tenant_id) as session:
        opened = CredentialRepository(session, scene.keyring).open(scene.tenant_id, scene.connector.id)
    return Credentials.from_json(opened.secret)


def keeper(scene: Scene) -> CredentialKeeper:
    """Another process's."""
    return CredentialKeeper(scene.database.connect(pool_size=5), scene.keyring, scene.oauth_providers)


def test_refused_credentials_are_renewed_and_the_run_goes_on_at_its_page(
    scene: Scene, renewals: Renewals
) -> None:
    refused = iter((CredentialsRejected(),))

    def refuse_once() -> None:
        for error in refused:
            raise error

    run = scene.sync([item(1)], refuse_once, [item(2)])
    assert (run.state, scene.stored()) == ("completed", ["item-1", "item-2"])
    assert scene.source.opened_with == ["the-token", "token-2"]
    assert scene.source.cursors == [None, {"next": 1}]
    assert (stored(scene).refresh_token, renewals.spent) == ("refresh-2", ["refresh-1"])


def test_credentials_refused_in_the_middle_of_a_page_lose_nothing(scene: Scene, renewals: Renewals) -> None:
    refused = iter((True,))

    def refuse_once(entry: object) -> None:
        if len(scene.source.read_ids) == 2 and next(refused, False):
            raise CredentialsRejected

    scene.source.before_read = refuse_once
    run = scene.sync([item(1), item(2), item(3)])
    assert (run.state, run.stored_count, run.processed_count) == ("completed", 3, 3)
    assert scene.source.read_ids == ["item-1", "item-2", "item-2", "item-3"]


def test_credentials_that_end_twice_within_a_page_are_renewed_twice(scene: Scene, renewals: Renewals) -> None:
    ends = iter((2, 4))
    at = next(ends)

    def end(entry: object) -> None:
        nonlocal at
        if len(scene.source.read_ids) == at:
            at = next(ends, 99)
            raise CredentialsRejected

    scene.source.before_read = end
    run = scene.sync([item(1), item(2), item(3), item(4)])
    assert (run.state, run.stored_count) == ("completed", 4)
    assert renewals.spent == ["refresh-1", "refresh-2"]


def test_renewed_credentials_that_are_refused_as_well_need_a_person(scene: Scene, renewals: Renewals) -> None:
    run = scene.sync([item(1)], CredentialsRejected())
    assert (run.state, run.error) == ("failed", CredentialsRejected().message)
    connector = scene.connector_now()
    assert (connector.status, connector.status_reason) == ("needs_reconnect", CredentialsRejected().message)
    assert scene.stored() == ["item-1"]
    assert len(renewals.spent) == 1, "refresh once"
    assert scene.start().id != run.id, "another one can be asked for at once"


def test_credentials_without_a_refresh_token_need_a_person(scene: Scene, renewals: Renewals) -> None:
    with scene.db.transaction(scene.tenant_id) as session:
        CredentialRepository(session, scene.keyring).store(
            scene.tenant_id, scene.connector.id, replace(TOKEN, refresh_token=None).to_json(), expires_at=None
        )
    assert scene.sync(CredentialsRejected()).state == "failed"
    assert scene.connector_now().status == "needs_reconnect"
    assert renewals.spent == []


def test_credentials_that_end_soon_are_renewed_before_they_are_used(scene: Scene, renewals: Renewals) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=30)
    with scene.db.transaction(scene.tenant_id) as session:
        CredentialRepository(session, scene.keyring).store(
            scene.tenant_id, scene.connector.id, TOKEN.to_json(), expires_at=soon
        )
    scene.sync([item(1)])
    assert scene.source.opened_with == ["token-2"]
    scene.sync([item(2)])
    assert scene.source.opened_with == ["token-2", "token-2"], "not again while they last"


def test_processes_that_are_refused_at_once_renew_once(scene: Scene, renewals: Renewals) -> None:
    keepers = [keeper(scene) for _ in range(8)]
    barrier = threading.Barrier(8)

    def renew(keeper: CredentialKeeper) -> str:
        barrier.wait()
        return keeper.renew(scene.connector, 1).credentials.access_token

    with ThreadPoolExecutor(8) as pool:
        tokens = list(pool.map(renew, keepers))
    assert (set(tokens), renewals.spent) == ({"token-2"}, ["refresh-1"])
    for each in keepers:
        each.db.close()


def test_no_transaction_is_open_while_the_provider_is_asked(scene: Scene, renewals: Renewals) -> None:
    open_transactions: list[object] = []

    def look() -> None:
        with scene.database.admin() as connection:
            open_transactions.extend(
                connection.execute(
                    "SELECT query FROM pg_stat_activity WHERE datname = current_database()"
                    " AND state LIKE 'idle in transaction%'"
                ).fetchall()
            )

    renewals.before = look
    scene.handler.keeper.renew(scene.connector, 1)
    assert renewals.spent == ["refresh-1"]
    assert open_transactions == []


def test_renewal_of_a_process_that_died_is_taken_over_after_its_term(
    scene: Scene, renewals: Renewals
) -> None:
    with scene.database.admin() as connection:
        connection.execute(
            "UPDATE credentials SET renewer = uuidv7(), renewing_until = now() + interval '0.7 s'"
            " WHERE tenant_id = %s",
            (scene.tenant_id,),
        )
    assert scene.handler.keeper.renew(scene.connector, 1).credentials.access_token == "token-2"


def test_late_answer_does_not_replace_newer_credentials(scene: Scene, renewals: Renewals) -> None:
    """Somebody connects again while the provider thinks: their credentials stay."""

    def connect_again() -> None:
        with scene.db.transaction(scene.tenant_id) as session:
            CredentialRepository(session, scene.keyring).store(
                scene.tenant_id,
                scene.connector.id,
                replace(TOKEN, access_token="by-a-person").to_json(),
                expires_at=None,
            )

    renewals.before = connect_again
    assert scene.handler.keeper.renew(scene.connector, 1).credentials.access_token == "by-a-person"
    assert stored(scene).access_token == "by-a-person"


def test_invalid_grant_is_no_news_when_somebody_else_was_faster(scene: Scene, renewals: Renewals) -> None:
    def spend_elsewhere() -> None:
        renewals.before = lambda: None
        with scene.db.transaction(scene.tenant_id) as session:
            CredentialRepository(session, scene.keyring).store(
                scene.tenant_id,
                scene.connector.id,
                replace(TOKEN, access_token="fresh", refresh_token="refresh-9").to_json(),
                expires_at=None,
            )
        renewals.error = CredentialsRejected()

    renewals.before = spend_elsewhere
    assert scene.handler.keeper.renew(scene.connector, 1).credentials.access_token == "fresh"


def test_provider_away_during_a_renewal_is_tried_again_later(scene: Scene, renewals: Renewals) -> None:
    renewals.error = ProviderUnavailable()
    run = scene.sync([item(1)], CredentialsRejected(), [item(2)])
    assert (run.state, scene.connector_now().status) == ("waiting", "connected")
    renewals.error = None
    scene.source.steps[1] = []
    scene.work()
    assert scene.now(run).state == "completed"


@pytest.fixture
def gate(scene: Scene) -> Iterator[Callable[[bool], None]]:
    """Closes the database to everybody (True), or opens it again."""
    name = scene.database.name

    def close(is_closed: bool) -> None:
        with psycopg.connect(scene.database.server.url("postgres", "postgres"), autocommit=True) as elsewhere:
            allowed = "false" if is_closed else "true"
            elsewhere.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS {allowed}".encode())
            if is_closed:
                elsewhere.execute(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", (name,)
                )

    yield close
    close(False)


def test_renewed_credentials_are_stored_when_the_database_is_back(
    scene: Scene, renewals: Renewals, gate: Callable[[bool], None]
) -> None:
    """The refresh token is spent by then: what came for it must not get lost."""
    renewals.before = lambda: gate(True)
    opened = threading.Timer(0.7, gate, (False,))
    opened.start()
    assert scene.handler.keeper.renew(scene.connector, 1).credentials.access_token == "token-2"
    opened.join()
    assert (stored(scene).refresh_token, renewals.spent) == ("refresh-2", ["refresh-1"])


def test_slow_renewal_is_stored_although_another_was_let_in_meanwhile(
    scene: Scene, renewals: Renewals
) -> None:
    """The database was away for longer than the first one's term: the second is refused, the first must not lose."""
    answered, second_asks = threading.Event(), threading.Event()

    class Slow(CredentialKeeper):
        def _store(self, *args: object) -> bool:
            answered.set()
            assert second_asks.wait(10)
            return super()._store(*args)  # type: ignore[arg-type]

    first = Slow(scene.db, scene.keyring, scene.oauth_providers)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(first.renew, scene.connector, 1)
        assert answered.wait(10)
        with scene.database.admin() as connection:
            connection.execute("UPDATE credentials SET renewing_until = now()")
        renewals.before = second_asks.set
        assert scene.handler.keeper.renew(scene.connector, 1).credentials.access_token == "token-2"
        assert slow.result(10).credentials.access_token == "token-2"
    assert (stored(scene).refresh_token, renewals.spent) == ("refresh-2", ["refresh-1"])


def test_worker_that_lost_its_lease_does_not_say_that_a_person_is_needed(
    scene: Scene, renewals: Renewals
) -> None:
    def fall_silent() -> None:
        with scene.database.admin() as connection:
            connection.execute("UPDATE workers SET heartbeat_at = now() - interval '1 hour'")
        with scene.db.operator_transaction() as session:
            assert len(JobRepository(session).release_stalled()) == 1

    renewals.error = CredentialsRejected()
    scene.source.steps[:] = [[item(1)], fall_silent, CredentialsRejected()]
    run = scene.start()
    with pytest.raises(LeaseLost):
        scene.work()
    assert scene.connector_now().status == "connected"
    assert not scene.now(run).is_finished
