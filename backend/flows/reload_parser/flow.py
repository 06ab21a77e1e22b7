"""Compares what processes say of themselves with what has been published."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from backend.configs.repository import ConfigRepository, InForce
from backend.configs.schemas import ParserConfig
from backend.db.transaction import Database
from backend.ops.repository import InstanceRepository, Seen


@dataclass(frozen=True, slots=True)
class Running:
    """A process and the versions of the parser's settings that it would use for the tenant; None: not known."""

    instance: Seen
    version: int | None
    installation_version: int | None
    is_current: bool


def list_parsers(db: Database, tenant_id: UUID) -> tuple[InForce, Sequence[Running]]:
    """What counts for the tenant, and how far each running process is with it."""
    with db.operator_transaction() as session:
        instances = InstanceRepository(session).list_running()
    revisions = {seen.config_revision for seen in instances if seen.config_revision is not None}
    with db.transaction(tenant_id) as session:
        configs = ConfigRepository(session)
        versions = configs.list_versions_at(tenant_id, ParserConfig.name, revisions)
        in_force = configs.current(tenant_id, ParserConfig.name)
    wanted = (in_force.version, in_force.installation_version)
    return in_force, [
        Running(seen, *versions[seen.config_revision], versions[seen.config_revision] == wanted)
        if seen.config_revision is not None
        else Running(seen, None, None, False)
        for seen in instances
    ]
