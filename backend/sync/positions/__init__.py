"""Where reading goes on, beyond single runs: one row per connector.

SELECT connector_id, is_full, is_whole, full_at, updated_at FROM sync_positions;
"""
