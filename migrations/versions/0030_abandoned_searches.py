"""A search whose asker did not wait for the end of the answer is written down too."""

from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

_OUTCOMES = "'extractive', 'generated', 'no_results', 'onboarding'"
_COMMENT = "extractive or generated: answered; no_results: nothing found; onboarding: nothing there"


def _allow(outcomes: str, comment: str) -> None:
    op.execute("ALTER TABLE searches DROP CONSTRAINT ck_searches_outcome_is_known")
    op.execute(
        f"ALTER TABLE searches ADD CONSTRAINT ck_searches_outcome_is_known CHECK (outcome IN ({outcomes}))"
    )
    op.execute(f"COMMENT ON COLUMN searches.outcome IS '{comment}'")


def upgrade() -> None:
    _allow(f"{_OUTCOMES}, 'abandoned'", f"{_COMMENT}; abandoned: nobody waited for the end, or it broke off")


def downgrade() -> None:
    # Of all workspaces: their owner sees none otherwise.
    op.execute("ALTER TABLE searches NO FORCE ROW LEVEL SECURITY")
    op.execute("DELETE FROM searches WHERE outcome = 'abandoned'")
    op.execute("ALTER TABLE searches FORCE ROW LEVEL SECURITY")
    _allow(_OUTCOMES, _COMMENT)
