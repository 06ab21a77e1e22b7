"""Whether something was asked for already."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.jobs.models import Job


class WaitingJobRepository:
    """Jobs of one tenant that nobody has taken yet, within the caller's transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def is_queued(self, tenant_id: UUID, kind: str, args: Mapping[str, Any]) -> bool:
        """Whether a job of the tenant with exactly these `args` waits to be claimed."""
        return bool(
            self._session.scalar(
                select(
                    select(Job.id)
                    .where(
                        Job.tenant_id == tenant_id,
                        Job.state == "queued",
                        Job.kind == kind,
                        Job.args == dict(args),
                    )
                    .exists()
                )
            )
        )
