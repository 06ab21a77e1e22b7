"""A worker process to kill or to suspend: `python -m tests.jobs.worker_process <database URL> <lease seconds>`.

Prints `started <job id>`, waits for a line on its input, completes the job and prints `completed` or `refused`.
"""

import sys
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from uuid import UUID

import structlog

from backend.db.engine import create_engine
from backend.db.listen import Listener
from backend.db.notify import Notifier
from backend.db.transaction import Database, Session
from backend.jobs.claim import Claim, LeaseLost
from backend.jobs.repository import JobRepository
from backend.jobs.worker import Worker


class Obedient:
    """Does as its input says, whatever `should_stop` says."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def run(self, claim: Claim, _should_stop: Callable[[], bool]) -> None:
        say(f"started {claim.id}")
        sys.stdin.readline()
        try:
            with self._db.transaction(claim.tenant_id) as session:
                JobRepository(session).complete(claim)
        except LeaseLost:
            say("refused")
            raise
        say("completed")

    def on_given_up(self, _session: Session, _tenant: UUID, _args: Mapping[str, object], reason: str) -> None:
        say(f"given up: {reason}")

    def on_cancelled(self, _session: Session, _tenant: UUID, _args: Mapping[str, object]) -> None:
        say("cancelled")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(url: str, lease_seconds: str) -> None:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    db = Database(create_engine(url, pool_size=5, application_name="worker process"), Notifier(url))
    worker = Worker(
        db,
        Listener(url).start(),
        {"work": Obedient(db)},
        name="child",
        version="0",
        threads=1,
        lease=timedelta(seconds=float(lease_seconds)),
        idle_poll=timedelta(seconds=0.1),
    )
    worker.start()
    threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
