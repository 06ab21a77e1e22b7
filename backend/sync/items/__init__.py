"""What the source of a connector has shown of each item: unchanged ones are not read again, failed ones are.

SELECT external_id, state, stage, reason, attempt, retry_at FROM sync_items WHERE state = 'failed';
"""
