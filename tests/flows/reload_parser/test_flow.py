"""What processes run is told from how far they have got, without asking them."""

from uuid import UUID

from backend.configs.repository import ConfigRepository
from backend.configs.schemas import ParserConfig
from backend.db.transaction import Database
from backend.flows.reload_parser.flow import list_parsers
from backend.ops.repository import InstanceRepository
from tests.conftest import TestDatabase


def publish(db: Database, tenant_id: UUID | None) -> int:
    with db.operator_transaction() if tenant_id is None else db.transaction(tenant_id) as session:
        ConfigRepository(session).publish(tenant_id, ParserConfig(), expected=None)
    with db.operator_transaction() as session:
        return ConfigRepository(session).head()


def register(db: Database, name: str, config_revision: int | None) -> None:
    with db.operator_transaction() as session:
        InstanceRepository(session).register(
            name=name, kind="web", version="1", host="here", pid=7, config_revision=config_revision
        )


def test_list_parsers_shows_how_far_each_process_is(own_database: TestDatabase) -> None:
    db, mine, other = own_database.db, own_database.make_tenant().tenant_id, own_database.make_tenant()
    register(db, "started before", 0)
    register(db, "does not follow", None)
    register(db, "one behind", publish(db, mine))
    register(db, "without the installation's", publish(db, mine))
    register(db, "up to date", publish(db, None))
    register(db, "further still", publish(db, other.tenant_id))
    in_force, running = list_parsers(db, mine)
    assert (in_force.version, in_force.installation_version) == (2, 1)
    assert {(r.instance.name, r.version, r.installation_version, r.is_current) for r in running} == {
        ("started before", 0, 0, False),
        ("does not follow", None, None, False),
        ("one behind", 1, 0, False),
        ("without the installation's", 2, 0, False),
        ("up to date", 2, 1, True),
        ("further still", 2, 1, True),
    }
    with own_database.admin() as connection:
        behind = connection.execute(
            "SELECT name, changes_behind, installation_configs FROM ops.instances"
        ).fetchall()
    assert ("one behind", 3, None) in behind
    assert ("up to date", 1, {"parser": 1}) in behind
    assert ("further still", 0, {"parser": 1}) in behind
