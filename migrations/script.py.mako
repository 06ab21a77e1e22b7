"""${message}

Before you write it:
- Old processes keep running while this is applied: add first, use in the next release, remove in the one after.
- Every new tenant table calls `isolate(...)`; every table and column gets a comment.
- Row level security is forced, for the owner too: to change data across tenants,
  `op.execute("SET LOCAL ROLE secondbrain_operator")` and grant what that needs, or do it per tenant.
- An index on a large table is built CONCURRENTLY, in `op.get_context().autocommit_block()`.
- Then run scripts/schema, which writes migrations/schema.sql anew.
"""

from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    ${upgrades if upgrades else "raise NotImplementedError"}


def downgrade() -> None:
    ${downgrades if downgrades else "raise NotImplementedError"}
