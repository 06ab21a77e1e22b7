"""How far a sync is, and what it could not take: one row per run, one row per item that failed.

    queued ──► running ──► completed | completed_with_errors | failed | cancelled
                 ▲  │
                 │  ▼
               waiting            (the provider's rate limit; `resume_at` says until when)

At most one run per connector is unfinished, by a partial unique index. Everything a run has done is written with
its checkpoint in one transaction, so whoever takes it over goes on after the last page. `seq` is raised by every
change under the row's lock; event streams use it as the event id, and those of one process share each read (reads.py). Progress is the truth: a percentage is shown
only when the provider says how much there is.

    SELECT connector_type, state, stage, processed_count, total_count, failed_count, note, error
    FROM sync_runs ORDER BY created_at DESC;

or, across tenants: SELECT * FROM ops.sync_runs; SELECT * FROM ops.sync_errors;
"""
