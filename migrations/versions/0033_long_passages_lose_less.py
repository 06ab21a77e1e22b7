"""What passages and questions share counts otherwise: a long passage loses less, two neighbouring words together say more,
and the less of a question the best passage has, the more its meaning counts."""

from alembic import op
from alembic.script import ScriptDirectory

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

#: The revision that made the search which is changed here.
SEARCH_BEFORE = "0026"

#: (as 0026 has it, now). Chosen over eight collections: "How it was chosen" in docs/benchmarks.md.
CHANGES = (
    ("1.2 * (0.25 + 0.75 * length(m.words) / 80.0)", "1.2 * (0.6 + 0.4 * length(m.words) / 80.0)"),
    ("0.3 * (a.weight + b.weight)", "0.4 * (a.weight + b.weight)"),
    ("enough_share double precision DEFAULT 0.7", "enough_share double precision DEFAULT 1.5"),
)


def upgrade() -> None:
    _replace(_search(CHANGES))


def downgrade() -> None:
    _replace(_search(()))


def _search(changes: tuple[tuple[str, str], ...]) -> str:
    config = op.get_context().config
    if config is None:
        raise RuntimeError("this revision is run by alembic's own commands")
    made: str = ScriptDirectory.from_config(config).get_revision(SEARCH_BEFORE).module.SEARCH
    search, _, _ = made.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION").partition("COMMENT ON")
    for was, became in changes:
        if search.count(was) != 1:
            raise RuntimeError(f"{was!r} is not once in the search of {SEARCH_BEFORE}")
        search = search.replace(was, became)
    return search


def _replace(search: str) -> None:
    # In place: those who search meanwhile have the one or the other.
    op.execute("GRANT CREATE ON SCHEMA public TO secondbrain_search")
    op.execute("SET LOCAL ROLE secondbrain_search")
    op.execute(search)
    op.execute("SET LOCAL ROLE secondbrain_owner")
    op.execute("REVOKE CREATE ON SCHEMA public FROM secondbrain_search")
