"""Connections and their sealed credentials, and what of them the API shows."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from backend.connectors.credentials.repository import CredentialRepository, CredentialsNotFound
from backend.connectors.models import Connector
from backend.connectors.repository import ConnectorRepository, NotConnected
from backend.db.transaction import Database
from backend.keyring import Keyring, SealBroken
from tests.conftest import Account, TestDatabase
from tests.tenants.instances import Instance, Person, problem, web_instance

TOKEN = "gho_never-to-be-seen"
SECRET = f'{{"access_token": "{TOKEN}"}}'.encode()
OLD, NEW = ("old", b"o" * 32), ("new", b"n" * 32)


def connect(db: Database, account: Account | Person, connector_type: str = "github") -> Connector:
    with db.transaction(account.tenant_id) as session:
        return ConnectorRepository(session).connect(
            account.tenant_id,
            connector_type,
            connected_by=account.user_id,
            account_id="583231",
            account_label="octocat",
        )


def store(db: Database, keyring: Keyring, connector: Connector, secret: bytes = SECRET) -> None:
    with db.transaction(connector.tenant_id) as session:
        CredentialRepository(session, keyring).store(
            connector.tenant_id, connector.id, secret, expires_at=datetime(2030, 1, 1, tzinfo=UTC)
        )


def opened(db: Database, keyring: Keyring, connector: Connector) -> bytes:
    with db.transaction(connector.tenant_id) as session:
        return CredentialRepository(session, keyring).open(connector.tenant_id, connector.id).secret


# -- connections --------------------------------------------------------------------------------------------


def test_connect_again_keeps_the_one_connection_and_its_settings(db: Database, account: Account) -> None:
    first = connect(db, account)
    with db.transaction(account.tenant_id) as session:
        connectors = ConnectorRepository(session)
        connectors.configure(account.tenant_id, first.id, {"repositories": ["octocat/handbook"]})
        connectors.need_reconnect(account.tenant_id, first.id, "It was revoked.")
    again = connect(db, account)
    assert (again.id, again.status, again.status_reason) == (first.id, "connected", None)
    assert again.settings == {"repositories": ["octocat/handbook"]}
    with db.transaction(account.tenant_id) as session:
        assert [c.id for c in ConnectorRepository(session).list_all(account.tenant_id)] == [first.id]


def test_connection_of_another_tenant_is_not_there(
    db: Database, keyring: Keyring, account: Account, make_account: Callable[[], Account]
) -> None:
    other = make_account()
    connector = connect(db, other)
    store(db, keyring, connector)
    with db.transaction(account.tenant_id) as session:
        connectors = ConnectorRepository(session)
        assert connectors.find(other.tenant_id, "github") is None
        assert not connectors.list_all(other.tenant_id)
        with pytest.raises(NotConnected):
            connectors.get_by_id(other.tenant_id, connector.id)
        connectors.disconnect(other.tenant_id, connector.id)
        connectors.configure(other.tenant_id, connector.id, {"repositories": ["a/b"]})
        with pytest.raises(CredentialsNotFound):
            CredentialRepository(session, keyring).open(other.tenant_id, connector.id)
    with db.transaction(other.tenant_id) as session:
        kept = ConnectorRepository(session).get(other.tenant_id, "github")
    assert (kept.status, kept.settings) == ("connected", {})
    assert opened(db, keyring, connector) == SECRET


def test_need_reconnect_does_not_bring_back_what_was_disconnected(db: Database, account: Account) -> None:
    connector = connect(db, account)
    with db.transaction(account.tenant_id) as session:
        connectors = ConnectorRepository(session)
        connectors.disconnect(account.tenant_id, connector.id)
        connectors.need_reconnect(account.tenant_id, connector.id, "It was revoked.")
        with pytest.raises(NotConnected):
            connectors.get(account.tenant_id, "github")
        found = connectors.find(account.tenant_id, "github")
    assert found is not None
    assert (found.status, found.status_reason) == ("disconnected", None)


# -- sealing ------------------------------------------------------------------------------------------------


def test_store_again_replaces_and_disconnect_forgets(
    db: Database, keyring: Keyring, account: Account, database: TestDatabase
) -> None:
    connector = connect(db, account)
    store(db, keyring, connector, b"first")
    store(db, keyring, connector, SECRET)
    assert opened(db, keyring, connector) == SECRET
    with database.admin() as connection:
        rows = connection.execute(
            "SELECT credentials::text, encode(sealed, 'escape') FROM credentials WHERE tenant_id = %s",
            (account.tenant_id,),
        ).fetchall()
    assert len(rows) == 1
    for form in (TOKEN, TOKEN.encode().hex()):
        assert form not in str(rows)
    with db.transaction(account.tenant_id) as session:
        ConnectorRepository(session).disconnect(account.tenant_id, connector.id)
    with pytest.raises(CredentialsNotFound):
        opened(db, keyring, connector)


def test_open_after_the_row_moved_to_another_owner_is_refused(
    db: Database,
    keyring: Keyring,
    account: Account,
    make_account: Callable[[], Account],
    database: TestDatabase,
) -> None:
    victim = connect(db, account)
    store(db, keyring, victim)
    targets = [connect(db, account, "slack"), connect(db, make_account())]
    for target in targets:
        with database.admin() as connection:
            connection.execute(
                "INSERT INTO credentials (tenant_id, connector_id, sealed)"
                " SELECT %s, %s, sealed FROM credentials WHERE connector_id = %s",
                (target.tenant_id, target.id, victim.id),
            )
        with pytest.raises(SealBroken):
            opened(db, keyring, target)
    assert opened(db, keyring, victim) == SECRET


def test_open_after_an_alteration_is_refused(
    db: Database, keyring: Keyring, account: Account, database: TestDatabase
) -> None:
    connector = connect(db, account)
    store(db, keyring, connector)
    for change in (
        "set_byte(sealed, length(sealed) - 1, get_byte(sealed, length(sealed) - 1) # 1)",
        "substr(sealed, 1, 3)",
        "'\\x'::bytea",
    ):
        with database.admin() as connection:
            connection.execute(
                f"UPDATE credentials SET sealed = {change} WHERE connector_id = %s".encode(), (connector.id,)
            )
        with pytest.raises(SealBroken):
            opened(db, keyring, connector)


def test_open_after_key_rotation_works_until_the_old_key_is_dropped(db: Database, account: Account) -> None:
    connector = connect(db, account)
    store(db, Keyring([OLD]), connector)
    both = Keyring([NEW, OLD])
    assert opened(db, both, connector) == SECRET
    with pytest.raises(SealBroken):
        opened(db, Keyring([NEW]), connector)
    store(db, both, connector)
    assert opened(db, Keyring([NEW]), connector) == SECRET


# -- what the API shows -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def web(database: TestDatabase) -> Iterator[Instance]:
    with web_instance(database, "connectors") as instance:
        yield instance


@pytest.fixture
def admin(web: Instance) -> Person:
    """Somebody whose workspace has GitHub connected."""
    person = web.sign_in()
    store(web.services.db, web.services.keyring, connect(web.services.db, person))
    return person


def github_of(web: Instance, person: Person) -> dict[str, Any]:
    listed = web.ok("GET", "/api/integrations", person)["integrations"]
    view: dict[str, Any] = next(entry for entry in listed if entry["type"] == "github")
    return view


def test_list_shows_every_card_and_no_secret(web: Instance, admin: Person) -> None:
    body = web.ok("GET", "/api/integrations", admin)
    shown = {entry["type"]: entry["status"] for entry in body["integrations"]}
    assert shown == {
        "slack": "not_configured",
        "gmail": "not_configured",
        "google_drive": "not_configured",
        "box": "not_configured",
        "github": "connected",
        "onedrive": "not_configured",
        "pubmed": "not_configured",
        "webscraper": "not_configured",
        "researchgate": "not_configured",
        "googlescholar": "not_configured",
    }
    assert body["connected_count"] == 1
    assert github_of(web, admin)["account"] == "octocat"
    assert web.ok("GET", "/api/integrations", web.sign_in())["connected_count"] == 0


def test_no_answer_carries_a_credential(web: Instance, admin: Person) -> None:
    settings = {"settings": {"repositories": ["octocat/handbook"], "access_token": TOKEN}}
    refused = web.call("PUT", "/api/integrations/github/settings", admin, json=settings)
    problem(refused, 400, "VALIDATION_ERROR")
    assert "gho_" not in refused.text
    for path in ("", "/github/status", "/github/sync/status", "/github/webhook"):
        answer = web.call("GET", f"/api/integrations{path}", admin)
        assert answer.status_code == 200
        assert "access_token" not in answer.text
        assert "gho_" not in answer.text


def test_configure_replaces_what_is_synced(web: Instance, admin: Person) -> None:
    for names in (["octocat/handbook", "o_O-1/.github"], []):
        body = {"settings": {"repositories": names}}
        answer = web.ok("PUT", "/api/integrations/github/settings", admin, json=body)
        assert answer["connector"]["settings"] == {"repositories": names}
        assert github_of(web, admin)["settings"] == {"repositories": names}


@pytest.mark.parametrize(
    "settings",
    [
        {"repositories": "octocat/handbook"},
        {"repositories": ["handbook"]},
        {"repositories": ["octocat/"]},
        {"repositories": ["octocat/.."]},
        {"repositories": ["octocat/."]},
        {"repositories": ["../handbook"]},
        {"repositories": ["octocat/hand book"]},
        {"repositories": ["octocat/handbook\n"]},
        {"repositories": ["octocat/handbook/issues"]},
        {"repositories": ["octocat/handbook?per_page=1"]},
        {"repositories": [7]},
        {"repositories": ["o/" + "x" * 104]},
        {"repositories": ["a/b"] * 1001},
        None,
    ],
)
def test_configure_with_anything_else_is_refused(web: Instance, admin: Person, settings: object) -> None:
    answer = web.call("PUT", "/api/integrations/github/settings", admin, json={"settings": settings})
    problem(answer, 400, "VALIDATION_ERROR")
    assert github_of(web, admin)["settings"] == {}


def test_configure_what_is_not_connected_is_not_found(web: Instance, admin: Person) -> None:
    for connector_type, code in (("slack", "NOT_CONNECTED"), ("nothing", "UNKNOWN_SOURCE")):
        path = f"/api/integrations/{connector_type}/settings"
        problem(web.call("PUT", path, admin, json={"settings": {}}), 404, code)


def test_configure_and_disconnect_go_by_role(web: Instance, admin: Person) -> None:
    viewer, member = web.colleague(admin, role="viewer"), web.colleague(admin, role="member")
    body = {"settings": {"repositories": ["octocat/handbook"]}}
    problem(web.call("PUT", "/api/integrations/github/settings", viewer, json=body), 403, "VIEWERS_ONLY_LOOK")
    web.ok("PUT", "/api/integrations/github/settings", member, json=body)
    for person in (viewer, member):
        problem(web.call("POST", "/api/integrations/github/disconnect", person), 403, "ADMINISTRATORS_ONLY")
    assert github_of(web, admin)["status"] == "connected"


def test_disconnect_forgets_here_even_where_the_provider_is_not_set_up(web: Instance, admin: Person) -> None:
    first = web.ok("POST", "/api/integrations/github/disconnect", admin)
    assert first["revoked"] is False
    assert github_of(web, admin)["status"] == "disconnected"
    with web.database.admin() as connection:
        rows = connection.execute(
            "SELECT 1 FROM credentials WHERE tenant_id = %s", (admin.tenant_id,)
        ).fetchall()
    assert rows == []
    assert web.ok("POST", "/api/integrations/github/disconnect", admin)["revoked"] is True
    assert web.ok("POST", "/api/integrations/slack/disconnect", admin)["revoked"] is True
    problem(web.call("POST", "/api/integrations/nothing/disconnect", admin), 404, "UNKNOWN_SOURCE")


def test_disconnect_with_a_lost_key_forgets_but_promises_nothing(
    web: Instance, admin: Person, database: TestDatabase
) -> None:
    with database.admin() as connection:
        connection.execute("UPDATE credentials SET sealed = '\\x00' WHERE tenant_id = %s", (admin.tenant_id,))
    assert web.ok("POST", "/api/integrations/github/disconnect", admin)["revoked"] is False
    assert github_of(web, admin)["status"] == "disconnected"
