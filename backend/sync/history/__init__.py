"""What was synced before: the runs of a connector, the newest first.

SELECT state, trigger, created_at, finished_at, error FROM sync_runs ORDER BY created_at DESC;
"""
