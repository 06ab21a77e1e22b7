"""Channels over which a provider calls when something has changed, where they are opened by asking, and end by themselves.

SELECT connector_id, expires_at, error FROM watch_channels;
"""
