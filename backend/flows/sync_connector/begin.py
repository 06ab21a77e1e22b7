"""What the worker does when a schedule or a webhook wants a source to be synced: it starts a run, if it can."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from backend.connectors.repository import ConnectorRepository, NotConnected
from backend.db.transaction import Database, Session
from backend.flows.sync_connector.flow import start_sync
from backend.jobs.claim import Claim
from backend.jobs.repository import JobRepository

#: Jobs of this kind have `connector_id` and `trigger` (schedule or webhook).
BEGIN_KIND: Final = "begin_sync"


@dataclass(frozen=True, slots=True)
class BeginSyncHandler:
    """Carries out `begin_sync` jobs."""

    db: Database

    def run(self, claim: Claim, _should_stop: Callable[[], bool]) -> None:
        """Starts a run, or leaves the one that runs; does nothing for a source that is not connected."""
        with self.db.transaction(claim.tenant_id) as session:
            JobRepository(session).hold(claim)
            try:
                connector = ConnectorRepository(session).get_by_id(
                    claim.tenant_id, UUID(str(claim.args["connector_id"]))
                )
            except NotConnected:
                connector = None
            if connector is not None and connector.status == "connected":
                start_sync(session, connector, trigger=str(claim.args["trigger"]))
            JobRepository(session).complete(claim)

    def on_given_up(self, session: Session, tenant_id: UUID, args: Mapping[str, object], reason: str) -> None:
        """Nothing was begun; the schedule's next turn begins it."""

    def on_cancelled(self, session: Session, tenant_id: UUID, args: Mapping[str, object]) -> None:
        """Nothing was begun."""
