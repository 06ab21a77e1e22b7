"""What waits to be claimed, so that the same is not asked for twice.

SELECT kind, args, run_at FROM jobs WHERE state = 'queued' ORDER BY run_at;
"""
