"""Row level security and grants, written the same way into every migration.

Three kinds of role touch a tenant's table. `secondbrain_app` serves one tenant at a time and sees the rows of
the tenant that the transaction names, none without a name. `secondbrain_operator` works across tenants, on
the few tables and columns granted to it. `secondbrain_search` owns the search function and reads chunks.
"""

from collections.abc import Sequence

from backend.db.engine import APP_ROLE, OPERATOR_ROLE

#: The tenant of the transaction, or NULL; the sub-select makes the planner evaluate it once a statement.
CURRENT_TENANT = "(NULLIF((SELECT current_setting('app.tenant_id', true)), ''))::uuid"

ALL = "SELECT, INSERT, UPDATE, DELETE"


def isolate(
    table: str, *, app: str = ALL, operator: Sequence[str] | str = (), key: str = "tenant_id"
) -> tuple[str, ...]:
    """Statements that put `table` behind row level security and grant what `app` and `operator` may do.

    `app` and `operator` are privilege lists as GRANT takes them (columns allowed: "SELECT (id, state)").
    """
    operator = (operator,) if isinstance(operator, str) else operator
    statements = [
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
        f"CREATE POLICY tenant ON {table} TO {APP_ROLE}"
        f" USING ({key} = {CURRENT_TENANT}) WITH CHECK ({key} = {CURRENT_TENANT})",
        f"CREATE POLICY operator ON {table} TO {OPERATOR_ROLE} USING (true) WITH CHECK (true)",
        f"GRANT {app} ON {table} TO {APP_ROLE}",
    ]
    statements += [
        f"GRANT {privileges} ON {table} TO {OPERATOR_ROLE}" for privileges in operator if privileges
    ]
    return tuple(statements)
