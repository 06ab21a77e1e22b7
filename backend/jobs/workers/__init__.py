"""Worker processes: each says every few seconds that it lives.

SELECT name, version, heartbeat_at, stopped_at FROM workers ORDER BY heartbeat_at DESC;
"""
