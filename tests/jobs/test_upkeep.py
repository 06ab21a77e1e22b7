"""What workers look after besides their own jobs."""

import threading
from collections.abc import Callable
from datetime import timedelta

from backend.db.transaction import Session
from backend.jobs.repository import JobRepository
from backend.jobs.upkeep import Chore
from tests.jobs.handlers import SECONDS, MakeWorker, Steered, eventually
from tests.jobs.real_queue import KIND, Queue

NEVER = timedelta(hours=1)


def test_worker_takes_back_what_it_holds_without_knowing(
    queue: Queue, make_worker: MakeWorker, handler: Steered
) -> None:
    make_worker(lease=timedelta(seconds=0.6), idle_poll=NEVER)
    (worker_id,) = queue.living_workers()
    # As when the connection breaks between the commit of a claim and the answer.
    with queue.db.transaction(queue.tenant_id) as session:
        job_id = JobRepository(session).enqueue(queue.tenant_id, KIND, {})
        session.connection().exec_driver_sql(
            f"UPDATE jobs SET state = 'running', lease = 1, attempt = 1, claimed_at = now(), worker_id = '{worker_id}'"
        )
    claim, outcome = handler.next_ended()
    assert (claim.id, claim.lease, outcome) == (job_id, 3, "completed")


def test_worker_does_chores_again_soon_while_they_find_something(
    queue: Queue, make_worker: MakeWorker, handler: Steered
) -> None:
    found = [3, 2, 0]
    done = threading.Event()

    def sweep(session: Session) -> int:
        count = found.pop(0)
        if not found:
            done.set()
        return count

    def fail(session: Session) -> int:
        raise RuntimeError

    chores = (Chore("broken", timedelta(0), fail), Chore("sweep", NEVER, sweep))
    worker = make_worker(lease=timedelta(seconds=0.6), chores=chores)
    assert done.wait(SECONDS)
    eventually(lambda: worker.is_connected)


def test_chore_is_done_by_one_of_two_workers_at_a_time(queue: Queue, make_worker: MakeWorker) -> None:
    """Nobody leads: whoever gets the lock does it, and the other one when that one is done or gone."""
    done_by: list[str] = []
    inside, entered, leave = [0], threading.Event(), threading.Event()

    def sweep_of(name: str) -> Callable[[Session], int]:
        def sweep(_: Session) -> int:
            inside[0] += 1
            assert inside[0] == 1
            entered.set()
            leave.wait(SECONDS)
            inside[0] -= 1
            done_by.append(name)
            return 0

        return sweep

    for name in ("a", "b"):
        chore = Chore("sweep", timedelta(0), sweep_of(name))
        make_worker(name=name, lease=timedelta(seconds=1), chores=(chore,))
    assert entered.wait(SECONDS)
    queue.pass_time(0.6)
    assert inside == [1]
    leave.set()
    eventually(lambda: set(done_by) == {"a", "b"})


def test_chore_that_takes_long_does_not_hold_up_the_heartbeat(
    queue: Queue, make_worker: MakeWorker, handler: Steered
) -> None:
    entered, leave = threading.Event(), threading.Event()

    def dawdle(session: Session) -> int:
        entered.set()
        leave.wait(SECONDS)
        return 0

    worker = make_worker(lease=timedelta(seconds=1.5), chores=(Chore("slow", NEVER, dawdle),))
    assert entered.wait(SECONDS)
    queue.pass_time(2.0)
    eventually(lambda: worker.is_connected, seconds=SECONDS / 4)
    queue.enqueue()
    assert handler.next_ended()[1] == "completed"
    leave.set()
