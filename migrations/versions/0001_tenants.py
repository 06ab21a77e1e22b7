"""Who is asking: tenants, users, sessions, refresh tokens, and the schema rights."""

from alembic import op

from backend.db.isolation import isolate

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SCHEMA = """
CREATE TABLE tenants (
    id UUID DEFAULT uuidv7() NOT NULL,
    slug TEXT NOT NULL,
    name TEXT NOT NULL,
    plan TEXT DEFAULT 'free' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    deactivated_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_tenants PRIMARY KEY (id),
    CONSTRAINT ck_tenants_slug_is_url_safe CHECK (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    CONSTRAINT ck_tenants_plan_is_known CHECK (plan IN ('free', 'starter', 'professional', 'enterprise'))
);

CREATE UNIQUE INDEX uq_tenants_slug ON tenants (slug);
COMMENT ON TABLE tenants IS 'Organisations that share this installation; every other table''s rows belong to one';
COMMENT ON COLUMN tenants.id IS 'Identity, ordered by creation';
COMMENT ON COLUMN tenants.slug IS 'Short name used on the command line and in URLs';
COMMENT ON COLUMN tenants.name IS 'Name people see';
COMMENT ON COLUMN tenants.plan IS 'Commercial plan, for existing clients';
COMMENT ON COLUMN tenants.created_at IS 'When the row was written';
COMMENT ON COLUMN tenants.deactivated_at IS 'Since when nobody of it may sign in';

CREATE TABLE users (
    tenant_id UUID NOT NULL,
    id UUID DEFAULT uuidv7() NOT NULL,
    email TEXT NOT NULL,
    full_name TEXT NOT NULL,
    role TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    deactivated_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_users PRIMARY KEY (tenant_id, id),
    CONSTRAINT ck_users_role_is_known CHECK (role IN ('admin', 'member', 'viewer')),
    CONSTRAINT ck_users_email_is_lower_case CHECK (email = lower(email)),
    CONSTRAINT fk_users_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);

CREATE UNIQUE INDEX uq_users_email ON users (email);
COMMENT ON TABLE users IS 'People who can sign in; an e-mail address is unique across the installation';
COMMENT ON COLUMN users.tenant_id IS 'Whose row this is';
COMMENT ON COLUMN users.id IS 'Identity, ordered by creation';
COMMENT ON COLUMN users.email IS 'Sign-in name, lower case';
COMMENT ON COLUMN users.full_name IS 'Name as the person writes it';
COMMENT ON COLUMN users.role IS 'admin, member or viewer';
COMMENT ON COLUMN users.password_hash IS 'Argon2id in PHC string format';
COMMENT ON COLUMN users.created_at IS 'When the row was written';
COMMENT ON COLUMN users.updated_at IS 'When the account last changed';
COMMENT ON COLUMN users.deactivated_at IS 'Since when this person may not sign in';

CREATE TABLE sessions (
    tenant_id UUID NOT NULL,
    id UUID DEFAULT uuidv7() NOT NULL,
    user_id UUID NOT NULL,
    user_agent TEXT,
    ip_address INET,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    last_used_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    end_reason TEXT,
    CONSTRAINT pk_sessions PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_sessions_user FOREIGN KEY(tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT ck_sessions_ended_with_a_reason CHECK ((ended_at IS NULL) = (end_reason IS NULL)),
    CONSTRAINT fk_sessions_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);

CREATE INDEX ix_sessions_expires_at ON sessions (expires_at);

CREATE INDEX ix_sessions_user ON sessions (tenant_id, user_id);
COMMENT ON TABLE sessions IS 'One sign-in on one device; decides on every request whether its tokens still count';
COMMENT ON COLUMN sessions.tenant_id IS 'Whose row this is';
COMMENT ON COLUMN sessions.id IS 'Identity, ordered by creation';
COMMENT ON COLUMN sessions.user_id IS 'Who signed in';
COMMENT ON COLUMN sessions.user_agent IS 'What the browser said it was, shortened';
COMMENT ON COLUMN sessions.ip_address IS 'Where the sign-in came from';
COMMENT ON COLUMN sessions.created_at IS 'When the row was written';
COMMENT ON COLUMN sessions.last_used_at IS 'Last seen, to about five minutes';
COMMENT ON COLUMN sessions.expires_at IS 'When it ends unless refreshed';
COMMENT ON COLUMN sessions.ended_at IS 'When it was ended; its tokens are dead since';
COMMENT ON COLUMN sessions.end_reason IS 'logged_out, revoked, reuse_detected';

CREATE TABLE refresh_tokens (
    tenant_id UUID NOT NULL,
    token_sha256 BYTEA NOT NULL,
    session_id UUID NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    rotated_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_refresh_tokens PRIMARY KEY (tenant_id, token_sha256),
    CONSTRAINT fk_refresh_tokens_session FOREIGN KEY(tenant_id, session_id) REFERENCES sessions (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_refresh_tokens_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);

CREATE INDEX ix_refresh_tokens_session ON refresh_tokens (tenant_id, session_id);
COMMENT ON TABLE refresh_tokens IS 'Refresh tokens as hashes; each is good for one rotation';
COMMENT ON COLUMN refresh_tokens.tenant_id IS 'Whose row this is';
COMMENT ON COLUMN refresh_tokens.token_sha256 IS 'SHA-256 of the token; the token itself is nowhere';
COMMENT ON COLUMN refresh_tokens.session_id IS 'The family this token belongs to';
COMMENT ON COLUMN refresh_tokens.created_at IS 'When the row was written';
COMMENT ON COLUMN refresh_tokens.expires_at IS 'When it stops being accepted';
COMMENT ON COLUMN refresh_tokens.rotated_at IS 'When it was exchanged; seen again after that it is stolen';
"""


def upgrade() -> None:
    op.execute("GRANT USAGE ON SCHEMA public TO secondbrain_app, secondbrain_operator, secondbrain_search")
    # A process asks at its start whether the schema is the one it needs.
    op.execute("GRANT SELECT ON alembic_version TO secondbrain_app")
    op.execute("COMMENT ON TABLE alembic_version IS 'Newest migration that was applied'")
    op.execute("COMMENT ON COLUMN alembic_version.version_num IS 'Its revision'")
    op.execute(SCHEMA)
    for statement in isolate("tenants", app="SELECT, INSERT, UPDATE", operator="SELECT", key="id"):
        op.execute(statement)
    for statement in isolate("users", operator="SELECT"):
        op.execute(statement)
    for statement in isolate("sessions", operator=("SELECT", "DELETE")):
        op.execute(statement)
    for statement in isolate(
        "refresh_tokens", operator=("SELECT (tenant_id, session_id, expires_at, rotated_at)", "DELETE")
    ):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE refresh_tokens")
    op.execute("DROP TABLE sessions")
    op.execute("DROP TABLE users")
    op.execute("DROP TABLE tenants")
    op.execute("COMMENT ON COLUMN alembic_version.version_num IS NULL")
    op.execute("COMMENT ON TABLE alembic_version IS NULL")
    op.execute("REVOKE SELECT ON alembic_version FROM secondbrain_app")
    op.execute("REVOKE USAGE ON SCHEMA public FROM secondbrain_app, secondbrain_operator, secondbrain_search")
