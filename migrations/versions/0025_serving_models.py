"""Which model's vectors a tenant's searches compare, and how far the next one's are."""

from alembic import op

from backend.db.isolation import isolate

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

SCHEMA = """
CREATE TABLE serving_models (
    tenant_id UUID NOT NULL,
    model TEXT NOT NULL,
    next_model TEXT,
    previous_model TEXT,
    state TEXT DEFAULT 'serving' NOT NULL,
    job_id UUID,
    requested_by UUID,
    total_count BIGINT DEFAULT '0' NOT NULL,
    done_count BIGINT DEFAULT '0' NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    switched_at TIMESTAMP WITH TIME ZONE,
    finished_at TIMESTAMP WITH TIME ZONE,
    error TEXT,
    CONSTRAINT pk_serving_models PRIMARY KEY (tenant_id),
    CONSTRAINT ck_serving_models_state_is_known CHECK (state IN ('serving', 'embedding', 'purging')),
    CONSTRAINT ck_serving_models_next_is_being_made CHECK ((next_model IS NOT NULL) = (state = 'embedding')),
    CONSTRAINT ck_serving_models_next_is_another CHECK (next_model <> model),
    CONSTRAINT ck_serving_models_done_are_counted CHECK (done_count BETWEEN 0 AND total_count),
    CONSTRAINT fk_serving_models_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);
COMMENT ON TABLE serving_models IS 'Which model''s vectors a tenant''s searches compare, and the change to another, under way or the last one';
COMMENT ON COLUMN serving_models.tenant_id IS 'Whose row this is';
COMMENT ON COLUMN serving_models.model IS 'Questions are embedded by this model, and compared with its vectors only';
COMMENT ON COLUMN serving_models.next_model IS 'Whose vectors are being made; it serves once all are there';
COMMENT ON COLUMN serving_models.previous_model IS 'Which one served before; nothing goes back to it by itself';
COMMENT ON COLUMN serving_models.state IS 'serving, embedding (the next one''s vectors are made) or purging (the previous one''s are deleted)';
COMMENT ON COLUMN serving_models.job_id IS 'The job that carries out the change';
COMMENT ON COLUMN serving_models.requested_by IS 'Who asked for it; nobody if the configured model had changed';
COMMENT ON COLUMN serving_models.total_count IS 'Passages there were when it began, and any that came after';
COMMENT ON COLUMN serving_models.done_count IS 'Passages that have a vector of the next model';
COMMENT ON COLUMN serving_models.started_at IS 'When the change began';
COMMENT ON COLUMN serving_models.updated_at IS 'When it last got on';
COMMENT ON COLUMN serving_models.switched_at IS 'When the next model began to serve';
COMMENT ON COLUMN serving_models.finished_at IS 'When it was over, in whichever way';
COMMENT ON COLUMN serving_models.error IS 'Why it was given up, for a person'
"""

#: Each tenant's searches have compared one model's vectors only: of those it has most, if they are of several.
FILL = """
ALTER TABLE chunk_vectors NO FORCE ROW LEVEL SECURITY;
INSERT INTO serving_models (tenant_id, model)
SELECT DISTINCT ON (tenant_id) tenant_id, embedding_model
FROM (SELECT tenant_id, embedding_model, count(*) FROM chunk_vectors GROUP BY 1, 2) AS v
ORDER BY tenant_id, count DESC, embedding_model;
ALTER TABLE chunk_vectors FORCE ROW LEVEL SECURITY
"""

VIEW = """
CREATE VIEW ops.serving_models AS
SELECT t.slug AS tenant, s.model, s.next_model, s.state, s.done_count AS done, s.total_count AS total, s.error,
       now() - s.updated_at AS silent_for, s.started_at, s.switched_at, s.finished_at
FROM serving_models AS s JOIN tenants AS t ON t.id = s.tenant_id
ORDER BY s.state = 'serving', s.started_at DESC NULLS LAST, t.slug;
COMMENT ON VIEW ops.serving_models IS 'Which model serves whom, and how far changes to another are; unfinished ones first';
GRANT SELECT ON ops.serving_models TO secondbrain_readonly
"""


def upgrade() -> None:
    op.execute(SCHEMA)
    op.execute(FILL)
    for statement in isolate("serving_models", operator="SELECT"):
        op.execute(statement)
    op.execute("GRANT CREATE ON SCHEMA ops TO secondbrain_operator")
    op.execute("SET LOCAL ROLE secondbrain_operator")
    op.execute(VIEW)
    op.execute("SET LOCAL ROLE secondbrain_owner")
    op.execute("REVOKE CREATE ON SCHEMA ops FROM secondbrain_operator")


def downgrade() -> None:
    op.execute("SET LOCAL ROLE secondbrain_operator")
    op.execute("DROP VIEW ops.serving_models")
    op.execute("SET LOCAL ROLE secondbrain_owner")
    # What is left has one model's vectors, as before: of the one that serves.
    op.execute("ALTER TABLE chunk_vectors NO FORCE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE serving_models NO FORCE ROW LEVEL SECURITY")
    op.execute(
        "DELETE FROM chunk_vectors AS v USING serving_models AS s"
        " WHERE s.tenant_id = v.tenant_id AND s.model <> v.embedding_model"
    )
    op.execute("ALTER TABLE chunk_vectors FORCE ROW LEVEL SECURITY")
    op.execute("DROP TABLE serving_models")
