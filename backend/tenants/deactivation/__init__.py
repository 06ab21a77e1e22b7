"""People and workspaces that may not come in: deactivated, and perhaps activated again; nothing is deleted.

    active ──► deactivated ──► active          (users, tenants)

What a deactivated user or tenant holds stops counting with the commit, on every instance: each of sessions, API keys
and pending OAuth attempts is judged together with its user's and tenant's row. Sessions end, so activating somebody
again brings none back; API keys count again, unless they were revoked.

    SELECT email, role, deactivated_at FROM users WHERE deactivated_at IS NOT NULL;
"""
