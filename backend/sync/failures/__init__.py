"""What a run could not take: one row per run and item.

SELECT external_id, stage, reason, url FROM sync_errors ORDER BY created_at DESC;
"""
