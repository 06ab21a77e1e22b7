"""Credentials of connectors, sealed for exactly one tenant and connector; renewed by one process at a time.

SELECT connector_id, expires_at, version, renewing_until FROM credentials;
"""
