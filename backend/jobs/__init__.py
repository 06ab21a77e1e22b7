"""Work that must be done exactly as often as it was asked for, whatever dies meanwhile.

    queued ──► running ──► succeeded
      ▲           │  └───► dead         (failed as often as allowed)
      │           ├──────► queued       (failed: again later; its worker fell silent: again at once)
      └───────────┘
    queued, running ──► cancelled

A job is enqueued in the caller's transaction, so it exists if and only if what asked for it does. Claiming
raises the job's lease number, which never falls; every later write by the worker carries that number, and
zero rows mean the job is somebody else's now: stop and discard. A worker says that it lives in one row for all
its jobs; silent for longer than the lease term, its jobs go back to the queue. The database's clock decides.

A job ends only in a transaction of its tenant, together with what the end means to others (a sync run that has
failed, say), so neither exists without the other. That is why even a job that has used up its tries, or that was
cancelled while nobody had it, goes back to the queue first: whoever claims it then does not run it but ends it.

    SELECT kind, state, attempt, lease, run_at, last_error FROM jobs ORDER BY created_at DESC;

or, across tenants: SELECT * FROM ops.queue; SELECT * FROM ops.workers;

What is to be done again and again has a row in `schedules` (see schedules/), which any worker turns into a job
when it is due: SELECT name, every, next_run_at, paused_at, last_run_at FROM schedules; or SELECT * FROM ops.schedules;

    claim.py       what a claim hands over    repository.py  every change of jobs
    statements.py  who gets which job         worker.py      runs jobs on threads
    heartbeat.py   a process says it lives    upkeep.py      jobs left behind, schedules, recurring chores
    schedules/     what becomes a job again and again
    workers/       which processes work
"""
