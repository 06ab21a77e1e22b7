"""Counts writes of workers that do not hold the job of the run they write for.

A trigger looks, in the writing transaction itself, at the row of the run's job: it must be running, its holder must be
the process that writes (workers connect under their names), and this transaction must have the row locked or changed,
as `hold` does. The last is what a lease that was lost in between would show. Whoever ends the job in this transaction
was its holder until then.
"""

from typing import Final

from tests.chaos.crew import Crew

TABLES: Final = ("documents", "sync_items", "sync_positions", "sync_runs")

_INSTALL: Final = """
CREATE SCHEMA chaos;
CREATE TABLE chaos.writes (
    id bigint GENERATED ALWAYS AS IDENTITY, happened_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    table_name text NOT NULL, writer text NOT NULL, holder text, is_stale boolean NOT NULL);

-- The holder of a job that this transaction has let go of.
CREATE FUNCTION chaos.note_end() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    IF OLD.state = 'running' AND NEW.state <> 'running' AND NEW.lease = OLD.lease THEN
        PERFORM set_config('chaos.ended_job', NEW.id::text, true);
        PERFORM set_config('chaos.ended_by', (SELECT name FROM public.workers WHERE id = OLD.worker_id), true);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER chaos_note_end AFTER UPDATE ON jobs FOR EACH ROW EXECUTE FUNCTION chaos.note_end();

CREATE FUNCTION chaos.note_write() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    writer text := current_setting('application_name');
    own_id xid := pg_current_xact_id()::xid;
    job record;
    run_job uuid;
    holder text;
    is_held boolean;
BEGIN
    IF writer NOT LIKE 'worker%' THEN
        RETURN NULL;
    END IF;
    -- A run that is only being made, as by a schedule, has no job yet.
    IF TG_TABLE_NAME = 'sync_runs' AND (TG_OP = 'INSERT' OR to_jsonb(OLD) ->> 'job_id' IS NULL) THEN
        RETURN NULL;
    END IF;
    IF TG_TABLE_NAME = 'sync_runs' THEN
        run_job := to_jsonb(NEW) ->> 'job_id';
    ELSE
        SELECT r.job_id INTO run_job FROM public.sync_runs AS r
        WHERE r.tenant_id = NEW.tenant_id AND r.connector_id = NEW.connector_id AND r.finished_at IS NULL;
    END IF;
    SELECT j.state, w.name, j.xmin AS made_by, j.xmax AS locked_by INTO job
    FROM public.jobs AS j LEFT JOIN public.workers AS w ON w.id = j.worker_id WHERE j.id = run_job;
    IF job.state = 'running' THEN
        holder := job.name;
        is_held := job.made_by = own_id OR job.locked_by = own_id;
    ELSE
        is_held := run_job::text = current_setting('chaos.ended_job', true);
        holder := CASE WHEN is_held THEN current_setting('chaos.ended_by', true) END;
    END IF;
    INSERT INTO chaos.writes (table_name, writer, holder, is_stale)
    VALUES (TG_TABLE_NAME, writer, holder, NOT (coalesce(is_held, false) AND holder IS NOT DISTINCT FROM writer));
    RETURN NULL;
END $$;
"""

_WATCH: Final = """
CREATE TRIGGER chaos_note_write AFTER INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION chaos.note_write();
"""


def install(crew: Crew) -> None:
    """Counts from now on."""
    crew.execute(_INSTALL + "".join(_WATCH.format(table=table) for table in TABLES))


def count_writes(crew: Crew) -> tuple[int, int]:
    """(writes of workers so far, how many of them were stale)."""
    ((total, stale),) = crew.rows("SELECT count(*), count(*) FILTER (WHERE is_stale) FROM chaos.writes")
    return int(total), int(stale)


def stale_writes(crew: Crew) -> list[str]:
    """A line for each kind of stale write there was."""
    rows = crew.rows(
        "SELECT table_name, writer, holder, count(*) FROM chaos.writes WHERE is_stale GROUP BY 1, 2, 3"
    )
    return [
        f"{count} of {writer} to {table}, while {holder or 'nobody'} held the job"
        for table, writer, holder, count in rows
    ]
