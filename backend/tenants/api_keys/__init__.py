"""Keys for programs: `Authorization: Bearer sbk_…` wherever an access token is accepted, except to sign in or out.

    made, shown once ──► in use ──► revoked | expired | void (its user or workspace was deactivated)

A key acts for the user who made it, within its scopes and within what that user's role allows at the moment:
`read` looks and asks, `write` changes, `admin` does what is kept for administrators. It never manages keys or
sessions, so one that leaks cannot outlive its revocation.

    SELECT name, scopes, created_at, last_used_at, expires_at, revoked_at FROM api_keys ORDER BY created_at DESC;
"""
