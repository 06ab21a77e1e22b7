"""The graph of what documents are about, what supports it, and names looked up lately."""

from alembic import op

from backend.db.isolation import isolate

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

SCHEMA = """
CREATE UNLOGGED TABLE entity_aliases (
    tenant_id UUID NOT NULL,
    kind TEXT NOT NULL,
    alias TEXT COLLATE "C" NOT NULL,
    entity_ids UUID[] NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_entity_aliases PRIMARY KEY (tenant_id, kind, alias),
    CONSTRAINT ck_entity_aliases_kind_is_a_word CHECK (kind ~ '^[a-z][a-z_]*$'),
    CONSTRAINT fk_entity_aliases_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);

CREATE INDEX ix_entity_aliases_expires_at ON entity_aliases (expires_at);
COMMENT ON TABLE entity_aliases IS 'Names resolved lately and to what; a cache, emptied by a crash of the server';
COMMENT ON COLUMN entity_aliases.tenant_id IS 'Whose row this is';
COMMENT ON COLUMN entity_aliases.kind IS 'Of what kind the name was looked up';
COMMENT ON COLUMN entity_aliases.alias IS 'The name: NFKC, case and white space folded';
COMMENT ON COLUMN entity_aliases.entity_ids IS 'Everything it may stand for; none: nobody known, several: ambiguous';
COMMENT ON COLUMN entity_aliases.created_at IS 'When the row was written';
COMMENT ON COLUMN entity_aliases.expires_at IS 'When it stops counting, by the database''s clock';

CREATE TABLE graph_entities (
    tenant_id UUID NOT NULL,
    id UUID DEFAULT uuidv7() NOT NULL,
    kind TEXT NOT NULL,
    provider TEXT NOT NULL,
    external_key TEXT NOT NULL,
    name TEXT NOT NULL,
    name_key TEXT COLLATE "C" NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_graph_entities PRIMARY KEY (tenant_id, id),
    CONSTRAINT ck_graph_entities_kind_is_a_word CHECK (kind ~ '^[a-z][a-z_]*$'),
    CONSTRAINT ck_graph_entities_has_a_key_and_a_name CHECK (external_key <> '' AND name <> ''),
    CONSTRAINT fk_graph_entities_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
)
 WITH (fillfactor = 85);

CREATE INDEX ix_graph_entities_name ON graph_entities (tenant_id, name_key, id);
CREATE UNIQUE INDEX uq_graph_entities_identity ON graph_entities (tenant_id, kind, provider, external_key);
COMMENT ON TABLE graph_entities IS 'What documents are about; identified by kind, provider and external key, never by name';
COMMENT ON COLUMN graph_entities.tenant_id IS 'Whose row this is';
COMMENT ON COLUMN graph_entities.id IS 'Identity, ordered by creation';
COMMENT ON COLUMN graph_entities.kind IS 'person, repository, document, label, …';
COMMENT ON COLUMN graph_entities.provider IS 'Who gave the external key, such as github';
COMMENT ON COLUMN graph_entities.external_key IS 'Its identity there: a login, owner/name, an id';
COMMENT ON COLUMN graph_entities.name IS 'What people call it now';
COMMENT ON COLUMN graph_entities.name_key IS 'The name for comparing: NFKC, case and white space folded';
COMMENT ON COLUMN graph_entities.created_at IS 'When the row was written';

CREATE TABLE graph_relations (
    tenant_id UUID NOT NULL,
    subject_id UUID NOT NULL,
    kind TEXT NOT NULL,
    object_id UUID NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_graph_relations PRIMARY KEY (tenant_id, subject_id, kind, object_id),
    CONSTRAINT fk_graph_relations_subject FOREIGN KEY(tenant_id, subject_id) REFERENCES graph_entities (tenant_id, id),
    CONSTRAINT fk_graph_relations_object FOREIGN KEY(tenant_id, object_id) REFERENCES graph_entities (tenant_id, id),
    CONSTRAINT ck_graph_relations_kind_is_a_word CHECK (kind ~ '^[a-z][a-z_]*$'),
    CONSTRAINT fk_graph_relations_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);

CREATE INDEX ix_graph_relations_object ON graph_relations (tenant_id, object_id, subject_id);
COMMENT ON TABLE graph_relations IS 'How entities are related: subject, kind, object';
COMMENT ON COLUMN graph_relations.tenant_id IS 'Whose row this is';
COMMENT ON COLUMN graph_relations.subject_id IS 'Who or what';
COMMENT ON COLUMN graph_relations.kind IS 'authored, belongs_to, labelled, …';
COMMENT ON COLUMN graph_relations.object_id IS 'To whom or what';
COMMENT ON COLUMN graph_relations.created_at IS 'When the row was written';

CREATE TABLE graph_mentions (
    tenant_id UUID NOT NULL,
    entity_id UUID NOT NULL,
    document_id UUID NOT NULL,
    chunk_id UUID,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_graph_mentions PRIMARY KEY (tenant_id, entity_id, document_id),
    CONSTRAINT fk_graph_mentions_entity FOREIGN KEY(tenant_id, entity_id) REFERENCES graph_entities (tenant_id, id),
    CONSTRAINT fk_graph_mentions_document FOREIGN KEY(tenant_id, document_id) REFERENCES documents (tenant_id, id),
    CONSTRAINT fk_graph_mentions_chunk FOREIGN KEY(tenant_id, chunk_id) REFERENCES chunks (tenant_id, id) ON DELETE SET NULL (chunk_id),
    CONSTRAINT fk_graph_mentions_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);

CREATE INDEX ix_graph_mentions_chunk ON graph_mentions (tenant_id, chunk_id) WHERE chunk_id IS NOT NULL;
CREATE INDEX ix_graph_mentions_document ON graph_mentions (tenant_id, document_id);
COMMENT ON TABLE graph_mentions IS 'Which documents name an entity; one that nothing names is deleted';
COMMENT ON COLUMN graph_mentions.tenant_id IS 'Whose row this is';
COMMENT ON COLUMN graph_mentions.entity_id IS 'What is named';
COMMENT ON COLUMN graph_mentions.document_id IS 'Which document names it';
COMMENT ON COLUMN graph_mentions.chunk_id IS 'In which passage, while that is there';
COMMENT ON COLUMN graph_mentions.created_at IS 'When the row was written';

CREATE TABLE graph_evidence (
    tenant_id UUID NOT NULL,
    subject_id UUID NOT NULL,
    kind TEXT NOT NULL,
    object_id UUID NOT NULL,
    document_id UUID NOT NULL,
    chunk_id UUID,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_graph_evidence PRIMARY KEY (tenant_id, subject_id, kind, object_id, document_id),
    CONSTRAINT fk_graph_evidence_relation FOREIGN KEY(tenant_id, subject_id, kind, object_id) REFERENCES graph_relations (tenant_id, subject_id, kind, object_id),
    CONSTRAINT fk_graph_evidence_document FOREIGN KEY(tenant_id, document_id) REFERENCES documents (tenant_id, id),
    CONSTRAINT fk_graph_evidence_chunk FOREIGN KEY(tenant_id, chunk_id) REFERENCES chunks (tenant_id, id) ON DELETE SET NULL (chunk_id),
    CONSTRAINT fk_graph_evidence_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);

CREATE INDEX ix_graph_evidence_chunk ON graph_evidence (tenant_id, chunk_id) WHERE chunk_id IS NOT NULL;
CREATE INDEX ix_graph_evidence_document ON graph_evidence (tenant_id, document_id);
COMMENT ON TABLE graph_evidence IS 'Which documents say a relation; one that nothing says is deleted';
COMMENT ON COLUMN graph_evidence.tenant_id IS 'Whose row this is';
COMMENT ON COLUMN graph_evidence.subject_id IS 'The relation''s subject';
COMMENT ON COLUMN graph_evidence.kind IS 'The relation''s kind';
COMMENT ON COLUMN graph_evidence.object_id IS 'The relation''s object';
COMMENT ON COLUMN graph_evidence.document_id IS 'Which document says so';
COMMENT ON COLUMN graph_evidence.chunk_id IS 'In which passage, while that is there';
COMMENT ON COLUMN graph_evidence.created_at IS 'When the row was written';
"""

#: What each role may do; the operator counts, and tells neither names nor who is related to whom.
RIGHTS = (
    ("entity_aliases", ("SELECT (tenant_id, expires_at)", "DELETE")),
    ("graph_entities", "SELECT (tenant_id, kind)"),
    ("graph_relations", "SELECT (tenant_id, kind)"),
    ("graph_mentions", "SELECT (tenant_id)"),
    ("graph_evidence", "SELECT (tenant_id)"),
)

VIEW = """
CREATE VIEW ops.knowledge AS
SELECT t.slug AS tenant, e.entities, e.people, e.repositories, e.documents, e.labels,
       (SELECT count(*) FROM graph_relations AS r WHERE r.tenant_id = t.id) AS relations,
       (SELECT count(*) FROM graph_mentions AS m WHERE m.tenant_id = t.id) AS mentions,
       (SELECT count(*) FROM graph_evidence AS v WHERE v.tenant_id = t.id) AS evidence,
       a.aliases, a.expired_aliases, t.id
FROM tenants AS t CROSS JOIN LATERAL (
    SELECT count(*) AS entities, count(*) FILTER (WHERE kind = 'person') AS people,
           count(*) FILTER (WHERE kind = 'repository') AS repositories,
           count(*) FILTER (WHERE kind = 'document') AS documents, count(*) FILTER (WHERE kind = 'label') AS labels
    FROM graph_entities AS g WHERE g.tenant_id = t.id
) AS e CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE expires_at > now()) AS aliases,
           count(*) FILTER (WHERE expires_at <= now()) AS expired_aliases
    FROM entity_aliases AS n WHERE n.tenant_id = t.id
) AS a ORDER BY e.entities DESC;
COMMENT ON VIEW ops.knowledge IS 'How large each tenant''s graph is; the largest first';
GRANT SELECT ON ops.knowledge TO secondbrain_readonly
"""


def upgrade() -> None:
    op.execute(SCHEMA)
    for table, operator in RIGHTS:
        for statement in isolate(table, operator=operator):
            op.execute(statement)
    op.execute("GRANT CREATE ON SCHEMA ops TO secondbrain_operator")
    op.execute("SET LOCAL ROLE secondbrain_operator")
    op.execute(VIEW)
    op.execute("SET LOCAL ROLE secondbrain_owner")
    op.execute("REVOKE CREATE ON SCHEMA ops FROM secondbrain_operator")


def downgrade() -> None:
    op.execute("SET LOCAL ROLE secondbrain_operator")
    op.execute("DROP VIEW ops.knowledge")
    op.execute("SET LOCAL ROLE secondbrain_owner")
    for table in ("graph_evidence", "graph_mentions", "graph_relations", "graph_entities", "entity_aliases"):
        op.execute(f"DROP TABLE {table}")
