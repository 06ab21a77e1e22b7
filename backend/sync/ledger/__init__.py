"""What the source of a connector has shown, beyond single runs: where reading goes on, and each item's last version.

SELECT external_id, state, stage, reason, attempt, retry_at FROM sync_items WHERE state = 'failed';
"""
