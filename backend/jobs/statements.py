"""The statements that decide who gets which job.

Each selects, locks and moves rows in one statement, skips what another process has locked, and names the rows
to move as an array: the planner then looks them up by key, whatever it believes about how many there are.
"""

from typing import Final

ENQUEUE: Final = """
    INSERT INTO jobs (tenant_id, kind, args, priority, run_at, max_attempts)
    VALUES (:tenant_id, :kind, CAST(:args AS jsonb), :priority, now() + :delay, :max_attempts) RETURNING id
"""

# `waiting` skips from tenant to tenant through the index, so the length of a tenant's queue costs nothing. `fair`
# puts tenants with the least running work first, drops those at the cap and those deactivated (their jobs wait), and
# spreads a batch over the rest. The outer LIMIT stops the loop as soon as enough is locked, so claimers do not hold each other's jobs.
# A claim is not waited for until it is on disk. A server that crashes within the next half second forgets it, and the
# job waits again; the first durable write of its holder brings it to disk as well, before itself.
CLAIM: Final = """
    WITH RECURSIVE waiting AS (
        (SELECT tenant_id FROM jobs WHERE state = 'queued' ORDER BY tenant_id LIMIT 1)
        UNION ALL
        SELECT (SELECT j.tenant_id FROM jobs AS j WHERE j.state = 'queued' AND j.tenant_id > w.tenant_id
                ORDER BY j.tenant_id LIMIT 1)
        FROM waiting AS w WHERE w.tenant_id IS NOT NULL
    ), running AS MATERIALIZED (
        SELECT tenant_id, count(*) AS jobs FROM jobs WHERE state = 'running' GROUP BY tenant_id
    ), fair AS MATERIALIZED (
        SELECT w.tenant_id,
               least(:tenant_cap - coalesce(r.jobs, 0), (:count - 1) / count(*) OVER () + 1) AS room
        FROM waiting AS w LEFT JOIN running AS r USING (tenant_id)
        WHERE w.tenant_id IS NOT NULL AND coalesce(r.jobs, 0) < :tenant_cap
          AND w.tenant_id NOT IN (SELECT id FROM tenants WHERE deactivated_at IS NOT NULL)
          AND EXISTS (SELECT FROM workers WHERE id = :worker_id AND stopped_at IS NULL)
        ORDER BY coalesce(r.jobs, 0), random()
    ), picked AS (
        SELECT j.id FROM fair CROSS JOIN LATERAL (
            SELECT q.id FROM jobs AS q
            WHERE q.tenant_id = fair.tenant_id AND q.state = 'queued' AND q.run_at <= now()
              AND q.kind = ANY (:kinds)
            ORDER BY q.priority DESC, q.run_at, q.id
            LIMIT fair.room FOR UPDATE SKIP LOCKED
        ) AS j
        LIMIT :count
    )
    UPDATE jobs
    SET state = 'running', lease = lease + 1, attempt = attempt + 1, worker_id = :worker_id,
        claimed_at = now(), progressed_at = NULL
    WHERE id = ANY (ARRAY(SELECT id FROM picked))
    RETURNING id, tenant_id, kind, args, lease, attempt, max_attempts, worker_id, last_error,
              cancel_requested_at IS NOT NULL, set_config('synchronous_commit', 'off', true)
"""

# The lease alone would say whose it is, but for a crash or failover that lost the newest commits, claims among them.
_IS_OURS: Final = """
    tenant_id = :tenant_id AND id = :job_id AND state = 'running' AND lease = :lease AND worker_id = :worker_id
"""

HOLD: Final = f"SELECT cancel_requested_at IS NULL FROM jobs WHERE {_IS_OURS} FOR NO KEY UPDATE"  # noqa: S608 - constants

PROGRESS: Final = f"""
    UPDATE jobs SET progressed_at = now(), attempt = 0 WHERE {_IS_OURS} RETURNING cancel_requested_at IS NULL
"""  # noqa: S608 - constants

COMPLETE: Final = f"""
    UPDATE jobs SET state = 'succeeded', worker_id = NULL, finished_at = now(), last_error = NULL
    WHERE {_IS_OURS}
    RETURNING id
"""  # noqa: S608 - constants

COMPLETE_MANY: Final = """
    UPDATE jobs
    SET state = 'succeeded', worker_id = NULL, finished_at = now(), last_error = NULL
    FROM unnest(CAST(:ids AS uuid[]), CAST(:leases AS bigint[])) AS held (id, lease)
    WHERE jobs.id = held.id AND jobs.lease = held.lease
      AND jobs.tenant_id = :tenant_id AND jobs.state = 'running' AND jobs.worker_id = :worker_id
    RETURNING jobs.id
"""

# The sub-select cannot become a join, and must not: when a row changes hands between the snapshot and the lock,
# Postgres checks the new row again, but would do so with the old holder's row of an outer join, find that it
# does not match, and take the job from its new holder.
RELEASE_STALLED: Final = """
    WITH stalled AS (
        SELECT j.id FROM jobs AS j
        WHERE j.state = 'running' AND (
            (SELECT w.stopped_at IS NULL AND w.heartbeat_at >= now() - w.lease_term
             FROM workers AS w WHERE w.id = j.worker_id) IS NOT TRUE
            OR (j.worker_id = :worker_id AND (j.id, j.lease) NOT IN (
                    SELECT * FROM unnest(CAST(:job_ids AS uuid[]), CAST(:leases AS bigint[])))
                AND j.claimed_at < now() - (SELECT w.lease_term FROM workers AS w WHERE w.id = :worker_id)))
        FOR UPDATE SKIP LOCKED
    )
    UPDATE jobs
    SET state = 'queued', lease = lease + 1, worker_id = NULL, run_at = now(),
        last_error = 'Its worker fell silent.'
    WHERE id = ANY (ARRAY(SELECT id FROM stalled))
    RETURNING id, tenant_id, kind, attempt
"""

GIVE_BACK_ALL: Final = """
    WITH held AS (
        SELECT id FROM jobs WHERE state = 'running' AND worker_id = :worker_id FOR UPDATE SKIP LOCKED
    )
    UPDATE jobs
    SET state = 'queued', lease = lease + 1, worker_id = NULL, run_at = now(), attempt = greatest(attempt - 1, 0)
    WHERE id = ANY (ARRAY(SELECT id FROM held))
    RETURNING id, tenant_id, kind, attempt
"""

# Waiting ones are left alone: they wait until their tenant is active again, and then go on.
STOP_ALL: Final = """
    UPDATE jobs SET cancel_requested_at = coalesce(cancel_requested_at, now())
    WHERE tenant_id = :tenant_id AND state = 'running' AND kind <> ALL (:but) RETURNING id
"""

CANCEL: Final = """
    UPDATE jobs SET cancel_requested_at = coalesce(cancel_requested_at, now()),
        state = CASE state WHEN 'queued' THEN 'cancelled' ELSE state END,
        finished_at = CASE state WHEN 'queued' THEN now() END
    WHERE tenant_id = :tenant_id AND id = :job_id AND state IN ('queued', 'running')
    RETURNING state
"""

PURGE_FINISHED: Final = """
    DELETE FROM jobs WHERE id = ANY (ARRAY(
        SELECT id FROM jobs WHERE finished_at < now() - :older_than LIMIT :limit FOR UPDATE SKIP LOCKED))
    RETURNING id
"""

PURGE_GONE_WORKERS: Final = """
    DELETE FROM workers AS w WHERE w.heartbeat_at < now() - :older_than
      AND NOT EXISTS (SELECT FROM jobs AS j WHERE j.worker_id = w.id AND j.state = 'running')
    RETURNING w.id
"""
