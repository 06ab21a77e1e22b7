"""Who is asking: tenants, their users, and the sessions that decide what a token may do.

    signed up ──► active ──► deactivated          (tenants, users)
    started ──► rotated, rotated … ──► ended      (sessions: logged out, revoked, reuse detected, deactivated, expired)
    made (shown once) ──► revoked or expired      (api_keys: for programs, see api_keys/)

An access token is a signed claim "I belong to session S"; the session's row decides, on every request and
every instance, whether that still means anything. A refresh token is opaque, stored as a hash, good for one
rotation; showing a rotated one again ends the whole session, because two parties then hold it.

    SELECT email, role, s.created_at, s.last_used_at, s.ended_at, s.end_reason
    FROM users u JOIN sessions s ON (s.tenant_id, s.user_id) = (u.tenant_id, u.id) ORDER BY s.created_at DESC;

The one room that others may import.
"""
