"""Start and cancel a run; name it so that a browser can follow it."""

import base64
import binascii
from uuid import UUID

from backend.connectors.models import Connector
from backend.db.transaction import Session
from backend.errors import NotFound
from backend.jobs.repository import JobRepository
from backend.keyring import Keyring
from backend.sync.models import SyncRun
from backend.sync.positions.repository import SyncPositionRepository
from backend.sync.repository import SyncRunRepository

JOB_KIND = "sync"
_PURPOSE = "sync-stream"
_MAC_BYTES = 16


def start_sync(
    session: Session,
    connector: Connector,
    *,
    requested_by: UUID | None = None,
    trigger: str = "user",
    is_full: bool = False,
) -> tuple[SyncRun, bool]:
    """A run of the connector and the job that carries it out, in the caller's transaction.

    It goes on where the last one ended, or over everything there is. Returns the unfinished run if there is one:
    (run, whether it is new).
    """
    runs = SyncRunRepository(session, actor=f"user {requested_by}" if requested_by else trigger)
    run, is_new = runs.start(
        connector.tenant_id,
        connector.id,
        connector_type=connector.type,
        requested_by=requested_by,
        trigger=trigger,
        is_full=is_full,
    )
    if is_new:
        if is_full:
            SyncPositionRepository(session).begin_anew(connector.tenant_id, connector.id)
        job_id = JobRepository(session).enqueue(connector.tenant_id, JOB_KIND, {"run_id": str(run.id)})
        runs.attach_job(connector.tenant_id, run.id, job_id)
    return run, is_new


def cancel_sync(session: Session, run: SyncRun, *, cancelled_by: UUID | None = None) -> None:
    """Cancels the run at once if no worker has it; otherwise the worker ends it within a page."""
    state = JobRepository(session).cancel(run.tenant_id, run.job_id) if run.job_id else None
    if state != "running":
        actor = f"user {cancelled_by}" if cancelled_by else "system"
        SyncRunRepository(session, actor=actor).cancel(run.tenant_id, run.id)


def stream_id(keyring: Keyring, tenant_id: UUID, run_id: UUID) -> str:
    """A name for the run that only we can make: whoever has it may follow the run, and nothing else.

    URL-safe; 64 characters: tenant, run and a 128-bit MAC.
    """
    name = tenant_id.bytes + run_id.bytes
    mac = keyring.mac(_PURPOSE, name)[:_MAC_BYTES]
    return base64.urlsafe_b64encode(name + mac).decode()


def read_stream_id(keyring: Keyring, name: str) -> tuple[UUID, UUID]:
    """(tenant id, run id) of a name made by `stream_id`. Raises NotFound."""
    try:
        raw = base64.b64decode(name.encode(), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error) as error:
        raise NotFound("There is no such sync.") from error
    if len(raw) != 32 + _MAC_BYTES or not keyring.mac_matches(_PURPOSE, raw[:32], raw[32:]):
        raise NotFound("There is no such sync.")
    return UUID(bytes=raw[:16]), UUID(bytes=raw[16:32])
