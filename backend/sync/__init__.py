"""How far a sync is, what it could not take, and where the next one goes on.

    queued ──► running ──► completed | completed_with_errors | failed | cancelled
                 ▲  │
                 │  ├────► interrupted       (ended for a reason that passes; the next run goes on there)
                 │  ▼
               waiting                       (for the provider; `resume_at` says until when)

At most one run per connector is unfinished, by a partial unique index. Everything a run has done is written with
its checkpoint (`positions/`) in one transaction, so whoever takes it over goes on after the last page, and so does
the next run. Each change of state has its row in `sync_transitions`: when, by whom, why. `items/` knows the version of
each item that was last dealt with, `failures/` what a run could not take. `seq` is raised by every change under the
row's lock; event streams use it as the event id, and those of one process share each read (`reads.py`). Progress
is the truth: a percentage is shown only when the provider says how much there is.

    SELECT connector_type, state, stage, processed_count, total_count, failed_count, note, error
    FROM sync_runs ORDER BY created_at DESC;

or, across tenants: SELECT * FROM ops.sync_runs; SELECT * FROM ops.sync_errors; SELECT * FROM ops.sync_positions;
"""
