"""Conversations, what was asked and how it was answered, and what people think of it."""

from alembic import op

from backend.db.isolation import isolate

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

SCHEMA = """
CREATE TABLE chats (
    tenant_id UUID NOT NULL,
    id UUID DEFAULT uuidv7() NOT NULL,
    user_id UUID NOT NULL,
    title TEXT,
    message_count INTEGER DEFAULT '0' NOT NULL,
    is_archived BOOLEAN DEFAULT 'false' NOT NULL,
    is_pinned BOOLEAN DEFAULT 'false' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    last_message_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_chats PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_chats_user FOREIGN KEY(tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_chats_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
)
 WITH (fillfactor = 85);

CREATE INDEX ix_chats_newest ON chats (tenant_id, user_id, is_pinned DESC, last_message_at DESC, id) WHERE message_count > 0;
CREATE INDEX ix_chats_empty ON chats (tenant_id, created_at) WHERE message_count = 0;
COMMENT ON TABLE chats IS 'Conversations, each of one person; shown to that person from their first message on';
COMMENT ON COLUMN chats.tenant_id IS 'Whose row this is';
COMMENT ON COLUMN chats.id IS 'Identity, ordered by creation';
COMMENT ON COLUMN chats.user_id IS 'Whose conversation it is';
COMMENT ON COLUMN chats.title IS 'What it is called: the beginning of the first question unless its owner says otherwise';
COMMENT ON COLUMN chats.message_count IS 'How many messages it has';
COMMENT ON COLUMN chats.is_archived IS 'Whether its owner has put it away';
COMMENT ON COLUMN chats.is_pinned IS 'Whether its owner wants it on top';
COMMENT ON COLUMN chats.created_at IS 'When the row was written';
COMMENT ON COLUMN chats.updated_at IS 'When it last changed';
COMMENT ON COLUMN chats.last_message_at IS 'When its last message came; when it was made, before the first';

CREATE TABLE chat_messages (
    tenant_id UUID NOT NULL,
    id UUID DEFAULT uuidv7() NOT NULL,
    chat_id UUID NOT NULL,
    role TEXT NOT NULL,
    content TEXT NOT NULL,
    sources JSONB,
    metadata JSONB DEFAULT '{}' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_chat_messages PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_chat_messages_chat FOREIGN KEY(tenant_id, chat_id) REFERENCES chats (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT ck_chat_messages_role_is_known CHECK (role IN ('user', 'assistant')),
    CONSTRAINT ck_chat_messages_content_is_not_empty CHECK (content <> ''),
    CONSTRAINT fk_chat_messages_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);

CREATE INDEX ix_chat_messages_order ON chat_messages (tenant_id, chat_id, id);
COMMENT ON TABLE chat_messages IS 'What was said in conversations, as clients sent it';
COMMENT ON COLUMN chat_messages.tenant_id IS 'Whose row this is';
COMMENT ON COLUMN chat_messages.id IS 'Identity, ordered by creation';
COMMENT ON COLUMN chat_messages.chat_id IS 'In which conversation';
COMMENT ON COLUMN chat_messages.role IS 'user or assistant';
COMMENT ON COLUMN chat_messages.content IS 'The text, word for word';
COMMENT ON COLUMN chat_messages.sources IS 'What it cites, as the client sent it';
COMMENT ON COLUMN chat_messages.metadata IS 'What else the client keeps with it';
COMMENT ON COLUMN chat_messages.created_at IS 'When the row was written';

CREATE TABLE searches (
    tenant_id UUID NOT NULL,
    id UUID DEFAULT uuidv7() NOT NULL,
    user_id UUID,
    query TEXT NOT NULL,
    searched TEXT NOT NULL,
    outcome TEXT NOT NULL,
    confidence DOUBLE PRECISION NOT NULL,
    result_count INTEGER NOT NULL,
    results JSONB NOT NULL,
    clicked_document_ids UUID[] DEFAULT '{}' NOT NULL,
    milliseconds INTEGER NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_searches PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_searches_user FOREIGN KEY(tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE SET NULL (user_id),
    CONSTRAINT ck_searches_outcome_is_known CHECK (outcome IN ('extractive', 'generated', 'no_results', 'onboarding')),
    CONSTRAINT fk_searches_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);

CREATE INDEX ix_searches_newest ON searches (tenant_id, created_at DESC, id);
CREATE INDEX ix_searches_created_at ON searches (created_at);
COMMENT ON TABLE searches IS 'What was asked and what was found, unless the workspace has turned that off';
COMMENT ON COLUMN searches.tenant_id IS 'Whose row this is';
COMMENT ON COLUMN searches.id IS 'Identity, ordered by creation';
COMMENT ON COLUMN searches.user_id IS 'Who asked';
COMMENT ON COLUMN searches.query IS 'The question as it was asked';
COMMENT ON COLUMN searches.searched IS 'What was looked for: the question, completed from the conversation and by acronyms';
COMMENT ON COLUMN searches.outcome IS 'extractive or generated: answered; no_results: nothing found; onboarding: nothing there';
COMMENT ON COLUMN searches.confidence IS 'How well the passages answer it, 0 to 1';
COMMENT ON COLUMN searches.result_count IS 'How many passages were shown';
COMMENT ON COLUMN searches.results IS 'The best of them: document, chunk, score';
COMMENT ON COLUMN searches.clicked_document_ids IS 'Which of the documents were opened from the answer';
COMMENT ON COLUMN searches.milliseconds IS 'How long the answer took';
COMMENT ON COLUMN searches.created_at IS 'When the row was written';

CREATE TABLE feedback (
    tenant_id UUID NOT NULL,
    id UUID DEFAULT uuidv7() NOT NULL,
    user_id UUID,
    search_id UUID,
    rating TEXT NOT NULL,
    query TEXT NOT NULL,
    answer TEXT NOT NULL,
    source_ids TEXT[] DEFAULT '{}' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_feedback PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_feedback_user FOREIGN KEY(tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE SET NULL (user_id),
    CONSTRAINT fk_feedback_search FOREIGN KEY(tenant_id, search_id) REFERENCES searches (tenant_id, id) ON DELETE SET NULL (search_id),
    CONSTRAINT ck_feedback_rating_is_known CHECK (rating IN ('up', 'down')),
    CONSTRAINT fk_feedback_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);

CREATE INDEX ix_feedback_newest ON feedback (tenant_id, created_at DESC, id);
CREATE INDEX ix_feedback_search ON feedback (tenant_id, search_id) WHERE search_id IS NOT NULL;
COMMENT ON TABLE feedback IS 'What people think of answers';
COMMENT ON COLUMN feedback.tenant_id IS 'Whose row this is';
COMMENT ON COLUMN feedback.id IS 'Identity, ordered by creation';
COMMENT ON COLUMN feedback.user_id IS 'Who thinks so';
COMMENT ON COLUMN feedback.search_id IS 'Which search it is about, if that is known';
COMMENT ON COLUMN feedback.rating IS 'up or down';
COMMENT ON COLUMN feedback.query IS 'The question, as the client remembers it';
COMMENT ON COLUMN feedback.answer IS 'The answer it is about';
COMMENT ON COLUMN feedback.source_ids IS 'What the answer cited, as the client sent it';
COMMENT ON COLUMN feedback.created_at IS 'When the row was written'
"""

#: The operator counts and purges, and reads nothing that anybody wrote.
RIGHTS = (
    ("chats", ("SELECT (tenant_id, id, user_id, message_count, created_at, last_message_at)", "DELETE")),
    ("chat_messages", ()),
    (
        "searches",
        ("SELECT (tenant_id, id, outcome, confidence, result_count, milliseconds, created_at)", "DELETE"),
    ),
    ("feedback", "SELECT (tenant_id, id, rating, created_at)"),
)

VIEWS = """
CREATE VIEW ops.searches AS
SELECT t.slug AS tenant, s.created_at::date AS day, count(*) AS searches,
       count(*) FILTER (WHERE s.outcome IN ('extractive', 'generated')) AS answered,
       count(*) FILTER (WHERE s.outcome = 'no_results') AS unanswered,
       count(*) FILTER (WHERE s.outcome = 'onboarding') AS nothing_there,
       round(avg(s.confidence)::numeric, 2) AS confidence,
       round(percentile_cont(0.5) WITHIN GROUP (ORDER BY s.milliseconds)::numeric) AS p50_ms,
       round(percentile_cont(0.95) WITHIN GROUP (ORDER BY s.milliseconds)::numeric) AS p95_ms,
       f.liked, f.disliked
FROM searches AS s JOIN tenants AS t ON t.id = s.tenant_id CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE rating = 'up') AS liked, count(*) FILTER (WHERE rating = 'down') AS disliked
    FROM feedback AS f WHERE f.tenant_id = t.id AND f.created_at::date = s.created_at::date
) AS f GROUP BY t.slug, s.created_at::date, f.liked, f.disliked ORDER BY day DESC, searches DESC;
COMMENT ON VIEW ops.searches IS 'How much was asked each day, how much of it was answered, how fast, and how people liked it';
GRANT SELECT ON ops.searches TO secondbrain_readonly;

CREATE VIEW ops.chats AS
SELECT t.slug AS tenant, count(DISTINCT c.user_id) AS people, count(*) FILTER (WHERE c.message_count > 0) AS chats,
       count(*) FILTER (WHERE c.message_count = 0) AS empty, coalesce(sum(c.message_count), 0) AS messages,
       max(c.last_message_at) AS last_message_at
FROM chats AS c JOIN tenants AS t ON t.id = c.tenant_id GROUP BY t.slug ORDER BY messages DESC;
COMMENT ON VIEW ops.chats IS 'How many people keep how many conversations; the most messages first';
GRANT SELECT ON ops.chats TO secondbrain_readonly
"""


def upgrade() -> None:
    op.execute(SCHEMA)
    for table, operator in RIGHTS:
        for statement in isolate(table, operator=operator):
            op.execute(statement)
    op.execute("GRANT CREATE ON SCHEMA ops TO secondbrain_operator")
    op.execute("SET LOCAL ROLE secondbrain_operator")
    op.execute(VIEWS)
    op.execute("SET LOCAL ROLE secondbrain_owner")
    op.execute("REVOKE CREATE ON SCHEMA ops FROM secondbrain_operator")


def downgrade() -> None:
    op.execute("SET LOCAL ROLE secondbrain_operator")
    op.execute("DROP VIEW ops.chats")
    op.execute("DROP VIEW ops.searches")
    op.execute("SET LOCAL ROLE secondbrain_owner")
    for table in ("feedback", "searches", "chat_messages", "chats"):
        op.execute(f"DROP TABLE {table}")
