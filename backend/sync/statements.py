"""The statements about sync runs that are clearer as SQL."""

from typing import Final

ENDED_LONGER_AGO: Final = """
    SELECT FROM sync_runs WHERE tenant_id = :tenant_id AND id = :run_id AND finished_at < now() - :time
"""

DESCRIBE: Final = """
    UPDATE sync_runs SET seq = seq + 1, updated_at = now(), stage = :stage, note = :note
    WHERE tenant_id = :tenant_id AND id = :run_id AND finished_at IS NULL RETURNING seq
"""

# Fenced by the job's lease; the job's row is locked, as by whoever writes for a job, in the same round trip.
DESCRIBE_HELD: Final = """
    WITH held AS MATERIALIZED (
        SELECT FROM jobs WHERE tenant_id = :tenant_id AND id = :job_id AND state = 'running'
          AND lease = :lease AND worker_id = :worker_id FOR KEY SHARE
    )
    UPDATE sync_runs SET seq = seq + 1, updated_at = now(), stage = :stage, note = :note
    WHERE tenant_id = :tenant_id AND id = :run_id AND finished_at IS NULL AND EXISTS (SELECT FROM held)
    RETURNING seq
"""

PURGE_FINISHED: Final = """
    DELETE FROM sync_runs AS r WHERE (r.tenant_id, r.id) IN (
        SELECT o.tenant_id, o.id FROM sync_runs AS o
        WHERE o.finished_at < now() - :older_than AND EXISTS (
            SELECT FROM sync_runs AS n WHERE n.tenant_id = o.tenant_id
            AND n.connector_id = o.connector_id AND n.created_at > o.created_at)
        LIMIT :limit
    ) RETURNING r.id
"""
