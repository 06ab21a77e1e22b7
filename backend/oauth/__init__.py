"""One-time OAuth nonces: what makes a `state` good for one browser, one time, on any instance.

    issued ──► begun (bound to a browser) ──► used
       │           │
       └───────────┴──► expired

A state is a signed token that names a tenant, a user, a connector and a nonce. The row here, and one UPDATE on
it, decide whether the nonce still counts: it must have been begun by the browser that comes back, for the same
tenant, user and connector, not have been used, not have expired, and its user and tenant must still be active.
The table holds hashes of nonce and browser secret, so nothing in it can be used.

    SELECT connector_type, created_at, begun_at, used_at, expires_at FROM oauth_nonces ORDER BY created_at DESC;

or, across tenants and with a state in words: SELECT * FROM ops.oauth_nonces;
"""
