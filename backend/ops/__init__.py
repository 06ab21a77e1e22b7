"""The processes themselves: which run, as what, and how far they follow.

    (registered) ──► alive ──► stopped (said goodbye)
                       └─────► silent  (killed, or cut off) ──► purged

Every web and worker process writes one row when it starts and says every few seconds that it lives, with the
newest revision of the configs that it has applied. Nothing is decided by these rows (jobs are held by leases, see
`jobs`): they are for people who ask which process runs which version of what. A row that was purged while its
process was suspended is written anew.

    SELECT name, kind, version, pid, started_at, heartbeat_at, config_revision FROM instances WHERE stopped_at IS NULL;

or, with a state in words and the versions of configs: SELECT * FROM ops.instances;
"""
