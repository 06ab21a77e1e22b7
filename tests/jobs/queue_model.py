"""What the queue promises about one job and one worker, without a database."""

from dataclasses import dataclass
from uuid import UUID

from backend.jobs.claim import Claim

FINISHED = frozenset({"succeeded", "dead", "cancelled"})


@dataclass
class ModelJob:
    tenant_id: UUID
    max_attempts: int
    is_due: bool
    state: str = "queued"
    lease: int = 0
    attempt: int = 0
    holder: UUID | None = None
    is_cancelled: bool = False

    def accepts(self, claim: Claim) -> bool:
        return self.state == "running" and self.lease == claim.lease

    def go_back(self, *, is_due: bool, is_counted: bool = True) -> None:
        self.state, self.holder = "queued", None
        if not is_counted:
            self.attempt = max(self.attempt - 1, 0)
        # Nobody waits for a job that will only be ended.
        self.is_due = is_due or self.is_cancelled

    def end(self, state: str) -> None:
        self.state, self.holder = state, None


@dataclass
class ModelWorker:
    is_heard: bool = True
    has_stopped: bool = False
