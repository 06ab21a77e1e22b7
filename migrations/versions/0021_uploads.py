"""Files that people hand in; what documents are taken for, who reviewed and who deleted them."""

from alembic import op

from backend.db.isolation import isolate

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

SCHEMA = """
ALTER TABLE documents ADD COLUMN status TEXT DEFAULT 'classified' NOT NULL;
ALTER TABLE documents ADD COLUMN classification_confidence DOUBLE PRECISION;
ALTER TABLE documents ADD COLUMN classification_reason TEXT;
ALTER TABLE documents ADD COLUMN reviewed_by UUID;
ALTER TABLE documents ADD COLUMN reviewed_at TIMESTAMP WITH TIME ZONE;
ALTER TABLE documents ADD COLUMN review_note TEXT;
ALTER TABLE documents ADD COLUMN deleted_by UUID;
ALTER TABLE documents ADD CONSTRAINT ck_documents_status_is_known CHECK (status IN ('pending', 'processing', 'classified', 'confirmed', 'rejected', 'archived'));
ALTER TABLE documents ADD CONSTRAINT ck_documents_confidence_is_a_share CHECK (classification_confidence BETWEEN 0 AND 1);
ALTER TABLE documents ADD CONSTRAINT fk_documents_reviewer FOREIGN KEY(tenant_id, reviewed_by) REFERENCES users (tenant_id, id) ON DELETE SET NULL (reviewed_by);
ALTER TABLE documents ADD CONSTRAINT fk_documents_deleter FOREIGN KEY(tenant_id, deleted_by) REFERENCES users (tenant_id, id) ON DELETE SET NULL (deleted_by);
COMMENT ON COLUMN documents.status IS 'classified (by rules or a model), confirmed or rejected (by a person), …; rejected ones are out of search';
COMMENT ON COLUMN documents.classification_confidence IS 'How sure the classification is, 0 to 1; none if nothing has looked at it';
COMMENT ON COLUMN documents.classification_reason IS 'Why it was classified so, for a person';
COMMENT ON COLUMN documents.reviewed_by IS 'Who confirmed or rejected it last';
COMMENT ON COLUMN documents.reviewed_at IS 'When that was';
COMMENT ON COLUMN documents.review_note IS 'What they wrote about it';
COMMENT ON COLUMN documents.deleted_by IS 'Who deleted it here';
GRANT SELECT (status, classification) ON documents TO secondbrain_operator;

CREATE TABLE uploads (
    tenant_id UUID NOT NULL,
    id UUID DEFAULT uuidv7() NOT NULL,
    file_name TEXT NOT NULL,
    title TEXT,
    mime_type TEXT NOT NULL,
    url TEXT,
    classification TEXT,
    byte_size INTEGER NOT NULL,
    sha256 BYTEA NOT NULL,
    body BYTEA,
    state TEXT DEFAULT 'waiting' NOT NULL,
    reason TEXT,
    uploaded_by UUID,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    finished_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_uploads PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_uploads_uploader FOREIGN KEY(tenant_id, uploaded_by) REFERENCES users (tenant_id, id) ON DELETE SET NULL (uploaded_by),
    CONSTRAINT ck_uploads_content_is_hashed CHECK (length(sha256) = 32),
    CONSTRAINT ck_uploads_state_is_known CHECK (state IN ('waiting', 'stored', 'failed')),
    CONSTRAINT ck_uploads_failed_has_a_reason CHECK ((state = 'failed') = (reason IS NOT NULL)),
    CONSTRAINT ck_uploads_failed_keeps_no_body CHECK ((state = 'failed') = (body IS NULL)),
    CONSTRAINT ck_uploads_classification_is_known CHECK (classification IN ('work', 'personal', 'spam', 'unknown')),
    CONSTRAINT fk_uploads_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);
ALTER TABLE uploads ALTER COLUMN body SET STORAGE EXTERNAL;

CREATE INDEX ix_uploads_newest ON uploads (tenant_id, created_at DESC, id);
CREATE UNIQUE INDEX uq_uploads_sha256 ON uploads (tenant_id, sha256);
COMMENT ON TABLE uploads IS 'Files that people handed in, as they came; the document made of one has its id';
COMMENT ON COLUMN uploads.tenant_id IS 'Whose row this is';
COMMENT ON COLUMN uploads.id IS 'Identity, ordered by creation';
COMMENT ON COLUMN uploads.file_name IS 'What the file was called';
COMMENT ON COLUMN uploads.title IS 'What the sender calls it; else its text says';
COMMENT ON COLUMN uploads.mime_type IS 'What the sender says it is; the content decides';
COMMENT ON COLUMN uploads.url IS 'Where it was fetched from, if it was';
COMMENT ON COLUMN uploads.classification IS 'What the sender says it is about: work, personal, spam or unknown';
COMMENT ON COLUMN uploads.byte_size IS 'Bytes of the file';
COMMENT ON COLUMN uploads.sha256 IS 'SHA-256 of the file; the same bytes are the same document';
COMMENT ON COLUMN uploads.body IS 'The file itself, for reading and for downloads; gone if it could not be read';
COMMENT ON COLUMN uploads.state IS 'waiting for a worker, stored, or failed';
COMMENT ON COLUMN uploads.reason IS 'Why it failed, for a person';
COMMENT ON COLUMN uploads.uploaded_by IS 'Who handed it in last';
COMMENT ON COLUMN uploads.created_at IS 'When the row was written';
COMMENT ON COLUMN uploads.finished_at IS 'When it was stored or failed'
"""

#: The operator counts and purges; names and bytes are not for him.
OPERATOR = ("SELECT (tenant_id, id, byte_size, state, reason, created_at, finished_at)", "DELETE")

VIEWS = """
CREATE VIEW ops.uploads AS
SELECT t.slug AS tenant, u.state, u.reason, u.byte_size AS bytes, u.created_at,
       coalesce(u.finished_at, now()) - u.created_at AS took, u.id
FROM uploads AS u JOIN tenants AS t ON t.id = u.tenant_id
ORDER BY u.state <> 'waiting', u.created_at DESC;
COMMENT ON VIEW ops.uploads IS 'Files handed in: which wait, which failed and why; the waiting ones first';
GRANT SELECT ON ops.uploads TO secondbrain_readonly;

CREATE VIEW ops.documents AS
SELECT t.slug AS tenant, d.source_type, d.status, d.classification, count(*) AS documents,
       sum(d.byte_size) AS bytes,
       bool_and(d.status <> 'rejected' AND d.classification IN ('work', 'unknown')) AS is_searched
FROM documents AS d JOIN tenants AS t ON t.id = d.tenant_id WHERE d.deleted_at IS NULL
GROUP BY t.slug, d.source_type, d.status, d.classification ORDER BY t.slug, count(*) DESC;
COMMENT ON VIEW ops.documents IS 'Documents by source, status and classification, and whether search looks at them';
GRANT SELECT ON ops.documents TO secondbrain_readonly
"""


def upgrade() -> None:
    op.execute(SCHEMA)
    for statement in isolate("uploads", operator=OPERATOR):
        op.execute(statement)
    op.execute("GRANT CREATE ON SCHEMA ops TO secondbrain_operator")
    op.execute("SET LOCAL ROLE secondbrain_operator")
    op.execute(VIEWS)
    op.execute("SET LOCAL ROLE secondbrain_owner")
    op.execute("REVOKE CREATE ON SCHEMA ops FROM secondbrain_operator")


def downgrade() -> None:
    op.execute("SET LOCAL ROLE secondbrain_operator")
    op.execute("DROP VIEW ops.documents")
    op.execute("DROP VIEW ops.uploads")
    op.execute("SET LOCAL ROLE secondbrain_owner")
    op.execute("DROP TABLE uploads")
    op.execute("REVOKE SELECT (status, classification) ON documents FROM secondbrain_operator")
    for column in (
        "deleted_by",
        "review_note",
        "reviewed_at",
        "reviewed_by",
        "classification_reason",
        "classification_confidence",
        "status",
    ):
        op.execute(f"ALTER TABLE documents DROP COLUMN {column}")
