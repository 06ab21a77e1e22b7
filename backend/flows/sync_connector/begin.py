"""What the worker does when a schedule or a provider's call wants a source to be synced: it starts a run, if it can."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from backend.connectors.models import Connector
from backend.connectors.repository import ConnectorRepository, NotConnected
from backend.db.transaction import Database, Session
from backend.flows.sync_connector.flow import start_sync
from backend.jobs.claim import Claim
from backend.jobs.repository import JobRepository
from backend.jobs.waiting.repository import WaitingJobRepository

#: Jobs of this kind have `connector_id` and `trigger` (schedule or webhook).
BEGIN_KIND: Final = "begin_sync"

#: So long after a provider's call its sync begins: calls that come meanwhile are dealt with by the same one.
_GATHER: Final = timedelta(seconds=3)
#: How often it is looked whether the run is over that began before the call.
_LOOK_AGAIN: Final = timedelta(seconds=10)


def ask_for_sync(session: Session, connector: Connector) -> bool:
    """Something changed at the source: a sync that begins from now on is to see it.

    Whether that took a new job; else one is queued already. `connector` is locked, so that of several callers one adds
    it.
    """
    args = {"connector_id": str(connector.id), "trigger": "webhook"}
    if WaitingJobRepository(session).is_queued(connector.tenant_id, BEGIN_KIND, args):
        return False
    JobRepository(session).enqueue(connector.tenant_id, BEGIN_KIND, args, delay=_GATHER)
    return True


@dataclass(frozen=True, slots=True)
class BeginSyncHandler:
    """Carries out `begin_sync` jobs."""

    db: Database

    def run(self, claim: Claim, _should_stop: Callable[[], bool]) -> None:
        """Starts a run; does nothing for a source that is not connected.

        For a schedule, a run that goes on already will do. A run that began before the provider's call may have been
        past what changed: it is let finish, and another one follows.
        """
        trigger = str(claim.args["trigger"])
        with self.db.transaction(claim.tenant_id) as session:
            jobs = JobRepository(session)
            jobs.hold(claim)
            try:
                connector = ConnectorRepository(session).get_by_id(
                    claim.tenant_id, UUID(str(claim.args["connector_id"]))
                )
            except NotConnected:
                connector = None
            if connector is not None and connector.status == "connected":
                run, is_new = start_sync(session, connector, trigger=trigger)
                if trigger == "webhook" and not is_new and run.state != "queued":
                    jobs.postpone(claim, _LOOK_AGAIN)
                    return
            jobs.complete(claim)

    def on_given_up(self, session: Session, tenant_id: UUID, args: Mapping[str, object], reason: str) -> None:
        """Nothing was begun; the schedule's next turn begins it."""

    def on_cancelled(self, session: Session, tenant_id: UUID, args: Mapping[str, object]) -> None:
        """Nothing was begun."""
