"""Signing keys, rotated as rows."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

SCHEMA = """
CREATE TABLE signing_keys (
    kid TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    active_from TIMESTAMP WITH TIME ZONE NOT NULL,
    retires_at TIMESTAMP WITH TIME ZONE,
    retired_because TEXT,
    follows_master BOOLEAN NOT NULL,
    made_by TEXT NOT NULL,
    CONSTRAINT pk_signing_keys PRIMARY KEY (kid),
    CONSTRAINT ck_signing_keys_retired_with_a_reason CHECK ((retires_at IS NULL) = (retired_because IS NULL)),
    CONSTRAINT ck_signing_keys_reason_is_known CHECK (retired_because IN ('rotated', 'compromised'))
);
COMMENT ON TABLE signing_keys IS 'Keys that sign tokens, states and names of streams, sealed with SECRET_KEYS';
COMMENT ON COLUMN signing_keys.kid IS 'Its id, carried by what it signed';
COMMENT ON COLUMN signing_keys.sealed IS '32 bytes, sealed for this row with SECRET_KEYS';
COMMENT ON COLUMN signing_keys.created_at IS 'When the row was written';
COMMENT ON COLUMN signing_keys.active_from IS 'When it begins to sign; published before';
COMMENT ON COLUMN signing_keys.retires_at IS 'When what it signed stops counting; none while it is the newest';
COMMENT ON COLUMN signing_keys.retired_because IS 'rotated or compromised';
COMMENT ON COLUMN signing_keys.follows_master IS 'The first key: while it is accepted, so is what SECRET_KEYS itself has signed';
COMMENT ON COLUMN signing_keys.made_by IS 'Who rotated: first use, maintenance, or a person where';
COMMENT ON COLUMN sessions.end_reason IS 'logged_out, revoked, reuse_detected, deactivated, keys_replaced';
"""

# Belongs to the operator role; shows no key, sealed or not.
VIEW = """
CREATE VIEW ops.signing_keys AS
SELECT k.kid,
       CASE WHEN k.retires_at <= now() THEN 'retired' WHEN k.active_from > now() THEN 'published'
            WHEN k.active_from = max(k.active_from) FILTER (
                WHERE k.active_from <= now() AND (k.retires_at IS NULL OR k.retires_at > now())) OVER ()
            THEN 'signing' ELSE 'accepted' END AS state,
       k.created_at, k.active_from, k.retires_at, k.retired_because, k.made_by
FROM signing_keys AS k ORDER BY k.created_at DESC;
COMMENT ON VIEW ops.signing_keys IS 'Which key signs, which ones are still accepted, and until when';
GRANT SELECT ON ops.signing_keys TO secondbrain_readonly
"""

# With it, a leaked key can end every session; the policy lets it do nothing but end.
ENDING_ONLY = """
CREATE POLICY ending ON sessions AS RESTRICTIVE FOR UPDATE TO secondbrain_operator
    USING (ended_at IS NULL) WITH CHECK (ended_at IS NOT NULL)
"""


def upgrade() -> None:
    op.execute(SCHEMA)
    # The app role may neither read nor write it: it has to become the operator role, for that one transaction.
    op.execute("GRANT SELECT, INSERT, DELETE ON signing_keys TO secondbrain_operator")
    op.execute("GRANT UPDATE (retires_at, retired_because) ON signing_keys TO secondbrain_operator")
    op.execute("GRANT UPDATE (ended_at, end_reason) ON sessions TO secondbrain_operator")
    op.execute(ENDING_ONLY)
    op.execute("GRANT CREATE ON SCHEMA ops TO secondbrain_operator")
    op.execute("SET LOCAL ROLE secondbrain_operator")
    op.execute(VIEW)
    op.execute("SET LOCAL ROLE secondbrain_owner")
    op.execute("REVOKE CREATE ON SCHEMA ops FROM secondbrain_operator")


def downgrade() -> None:
    op.execute("SET LOCAL ROLE secondbrain_operator")
    op.execute("DROP VIEW ops.signing_keys")
    op.execute("SET LOCAL ROLE secondbrain_owner")
    op.execute("DROP POLICY ending ON sessions")
    op.execute("REVOKE UPDATE (ended_at, end_reason) ON sessions FROM secondbrain_operator")
    op.execute("COMMENT ON COLUMN sessions.end_reason IS 'logged_out, revoked, reuse_detected'")
    op.execute("DROP TABLE signing_keys")
