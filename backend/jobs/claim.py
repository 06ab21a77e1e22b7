"""What a claim hands over, and what is raised once it counts no more."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from backend.errors import Conflict


class LeaseLost(Conflict):
    """This job is somebody else's now; what was done with it is discarded."""


class WorkerForgotten(Conflict):
    """This worker was silent for so long that it is counted as dead."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A job in a worker's hands; every write goes along with it, and is refused once it is not ours any more."""

    id: UUID
    tenant_id: UUID
    kind: str
    args: Mapping[str, Any]
    lease: int
    #: Tries since progress was last made, this one included.
    attempt: int
    max_attempts: int
    worker_id: UUID
    last_error: str | None
    #: Somebody asked it to stop while it was between two workers: do not work, only end it as cancelled.
    is_cancelled: bool

    @property
    def fence(self) -> dict[str, Any]:
        """What a statement must find unchanged to be the holder's."""
        return {
            "tenant_id": self.tenant_id,
            "job_id": self.id,
            "lease": self.lease,
            "worker_id": self.worker_id,
        }

    @property
    def is_exhausted(self) -> bool:
        """It was taken from a silent worker on its last try: do not work, only write down that it is dead."""
        return self.attempt > self.max_attempts


@dataclass(frozen=True, slots=True)
class Released:
    """A job that went back to the queue because its worker has gone."""

    id: UUID
    tenant_id: UUID
    kind: str
    attempt: int
