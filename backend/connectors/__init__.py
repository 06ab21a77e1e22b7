"""A tenant's connections to its sources, and their credentials, which never leave unsealed.

    (none) ──► connected ──► needs_reconnect ──► connected
                   └──────────────┴──► disconnected ──► connected

The state of a sync is not here (`sync_runs`): a connector stays connected while it syncs and after a sync failed.

`removals/` is how far the deletion of a disconnected source's documents is, `deliveries/` what providers called about,
`channels/` over what they call that must be asked to.

    SELECT type, status, status_reason, account_label, settings, connected_at FROM connectors;

or, across tenants: SELECT * FROM ops.connectors; what a source is and how one is added: `providers/`.
"""
