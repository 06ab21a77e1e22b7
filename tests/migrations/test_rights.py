"""Who may do what, as the catalogue says it; tests/db/test_isolation.py tries it."""

from collections.abc import Iterator
from types import MappingProxyType
from typing import Final

import psycopg
import pytest

from backend.db.engine import APP_ROLE, OPERATOR_ROLE, OWNER_ROLE, READONLY_ROLE, SEARCH_ROLE
from tests.conftest import TestDatabase
from tests.db.samples import tenant_tables

Rows = list[tuple[object, ...]]

TENANT_TABLES: Final = frozenset(tenant_tables())

#: Tables that belong to no tenant.
NOT_TENANTS: Final = MappingProxyType(
    {
        "alembic_version": "which migration was applied",
        "rate_limits": "counts people who have not signed in, too; only the operator role reads or writes it",
        "workers": "processes serve all tenants; only the operator role reads or writes them",
        "instances": "processes serve all tenants; only the operator role reads or writes them",
        "signing_keys": "sign for all tenants; only the operator role reads or writes them",
        "installation_config_versions": "counts for all tenants without their own; they read it, the operator writes",
    }
)

#: Tables whose primary key does not begin with tenant_id.
OTHER_KEY: Final = MappingProxyType(
    {
        "alembic_version": "belongs to no tenant",
        "rate_limits": "belongs to no tenant",
        "tenants": "is what tenant_id points to; its own key is the tenant",
        "workers": "belongs to no tenant",
        "instances": "belongs to no tenant",
        "installation_config_versions": "belongs to no tenant",
        "signing_keys": "belongs to no tenant",
        "jobs": "one queue, claimed across tenants; the next job is found by state, not by tenant",
    }
)

#: Unique indexes without tenant_id: whether a value is taken can be told across tenants.
UNIQUE_ACROSS: Final = MappingProxyType(
    {
        "alembic_version_pkc": "belongs to no tenant",
        "pk_tenants": "the tenant itself",
        "pk_rate_limits": "belongs to no tenant",
        "pk_jobs": "a random id, see OTHER_KEY",
        "pk_workers": "belongs to no tenant",
        "pk_instances": "belongs to no tenant",
        "pk_signing_keys": "belongs to no tenant",
        "pk_installation_config_versions": "belongs to no tenant",
        "uq_tenants_slug": "a tenant is found by its slug",
        "uq_users_email": "a person signs in with an address alone, so it must name one account",
    }
)

#: The columns that must never be read across tenants; nothing the operator role does needs them.
SEALED_OFF: Final = (
    "api_keys.secret_sha256",
    "chat_messages.content",
    "chat_messages.sources",
    "chats.title",
    "chunk_vectors.embedding",
    "chunks.heading_path",
    "chunks.search",
    "chunks.text",
    "component_contents.content",
    "credentials.sealed",
    "documents.author",
    "documents.classification_reason",
    "documents.review_note",
    "documents.content",
    "documents.content_sha256",
    "documents.external_id",
    "documents.file_name",
    "documents.metadata",
    "documents.title",
    "documents.url",
    "idempotency_keys.fingerprint_sha256",
    "idempotency_keys.sealed_answer",
    "entity_aliases.alias",
    "entity_aliases.entity_ids",
    "feedback.answer",
    "feedback.query",
    "graph_entities.external_key",
    "graph_entities.name",
    "graph_entities.name_key",
    "graph_evidence.document_id",
    "graph_mentions.document_id",
    "graph_relations.object_id",
    "graph_relations.subject_id",
    "embedding_cache.embedding",
    "embedding_cache.text_sha256",
    "refresh_tokens.token_sha256",
    "searches.query",
    "searches.results",
    "searches.searched",
    "uploads.body",
    "uploads.file_name",
    "uploads.sha256",
    "uploads.title",
)


Catalogue = psycopg.Connection[tuple[object, ...]]


@pytest.fixture(scope="module")
def catalogue(database: TestDatabase) -> Iterator[Catalogue]:
    """An administrator's connection."""
    with database.admin() as connection:
        yield connection


def rows(catalogue: Catalogue, query: str, *values: object) -> Rows:
    """All rows of a query."""
    return catalogue.execute(query.encode(), values).fetchall()


def test_every_object_carries_a_comment(catalogue: Catalogue) -> None:
    """psql's \\d+, \\df+ and \\dv+ are documentation."""
    silent = rows(
        catalogue,
        """
        SELECT 'relation', c.oid::regclass::text FROM pg_class AS c
        WHERE c.relnamespace IN ('public'::regnamespace, 'ops'::regnamespace) AND c.relkind IN ('r', 'v', 'm', 'p')
          AND obj_description(c.oid, 'pg_class') IS NULL
        UNION ALL
        SELECT 'column', format('%%s.%%s', c.oid::regclass, a.attname)
        FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0
          AND NOT a.attisdropped AND col_description(c.oid, a.attnum) IS NULL
        UNION ALL
        SELECT 'function', p.oid::regprocedure::text FROM pg_proc AS p
        WHERE p.pronamespace IN ('public'::regnamespace, 'ops'::regnamespace)
          AND obj_description(p.oid, 'pg_proc') IS NULL
          AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.objid = p.oid AND d.deptype = 'e')
        UNION ALL
        SELECT 'schema', nspname::text FROM pg_namespace
        WHERE nspname = 'ops' AND obj_description(oid, 'pg_namespace') IS NULL
        ORDER BY 1, 2
        """,
    )
    assert silent == []


def test_every_tenant_table_is_behind_row_level_security(catalogue: Catalogue) -> None:
    secured = rows(
        catalogue,
        "SELECT relname::text FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
        " AND relrowsecurity AND relforcerowsecurity",
    )
    everything = rows(
        catalogue,
        "SELECT relname::text FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace",
    )
    assert {str(name) for (name,) in everything} - {str(name) for (name,) in secured} == set(NOT_TENANTS)


def test_app_has_one_policy_per_table_and_it_is_the_tenant_s(catalogue: Catalogue) -> None:
    """One for all commands: several would be added up, so that any of them could open the table."""
    policies = rows(
        catalogue,
        "SELECT tablename::text, cmd, permissive, qual, with_check FROM pg_policies"
        " WHERE schemaname = 'public' AND roles && %s::name[]",
        [APP_ROLE, "public"],
    )
    assert {str(table) for table, *_ in policies} == TENANT_TABLES
    assert len(policies) == len(TENANT_TABLES)
    for table, command, permissive, using, check in policies:
        key = "id" if table == "tenants" else "tenant_id"
        assert (command, permissive) == ("ALL", "PERMISSIVE"), table
        assert str(using).startswith(f"({key} = ("), table
        assert "current_setting('app.tenant_id'::text, true)" in str(using), table
        assert using == check, table


def test_operator_has_one_policy_per_table(catalogue: Catalogue) -> None:
    policies = rows(
        catalogue,
        "SELECT tablename::text FROM pg_policies WHERE schemaname = 'public' AND cmd = 'ALL'"
        " AND roles = %s::name[] AND qual = 'true' AND with_check = 'true'",
        [OPERATOR_ROLE],
    )
    assert {str(table) for (table,) in policies} == TENANT_TABLES


def test_nobody_else_has_a_policy_but_search_on_chunks(catalogue: Catalogue) -> None:
    others = rows(
        catalogue,
        "SELECT tablename::text, roles::text[], cmd FROM pg_policies WHERE schemaname = 'public'"
        " AND NOT roles <@ %s::name[]",
        [APP_ROLE, OPERATOR_ROLE],
    )
    assert sorted(others) == [(table, [SEARCH_ROLE], "SELECT") for table in ("chunk_vectors", "chunks")]


def test_primary_keys_begin_with_the_tenant(catalogue: Catalogue) -> None:
    first = rows(
        catalogue,
        "SELECT c.conrelid::regclass::text, a.attname::text FROM pg_constraint AS c"
        " JOIN pg_attribute AS a ON (a.attrelid, a.attnum) = (c.conrelid, c.conkey[1])"
        " WHERE c.contype = 'p' AND c.connamespace = 'public'::regnamespace",
    )
    assert {str(table) for table, _ in first} == {*TENANT_TABLES, *NOT_TENANTS}
    assert {str(table) for table, column in first if column != "tenant_id"} == set(OTHER_KEY)


def test_unique_indexes_hold_the_tenant(catalogue: Catalogue) -> None:
    """Unique checks see all rows, whatever the policies say."""
    without = rows(
        catalogue,
        "SELECT i.indexrelid::regclass::text FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid"
        " WHERE i.indisunique AND c.relnamespace = 'public'::regnamespace AND NOT EXISTS ("
        "   SELECT FROM pg_attribute AS a WHERE a.attrelid = i.indrelid AND a.attname = 'tenant_id'"
        "   AND a.attnum = ANY (i.indkey))",
    )
    assert {str(name) for (name,) in without} == set(UNIQUE_ACROSS)


def test_foreign_keys_hold_the_tenant(catalogue: Catalogue) -> None:
    """Foreign key checks see all rows too: without it, a row could point to another tenant's."""
    without = rows(
        catalogue,
        "SELECT c.conname::text FROM pg_constraint AS c"
        " JOIN pg_attribute AS mine ON (mine.attrelid, mine.attnum) = (c.conrelid, c.conkey[1])"
        " WHERE c.contype = 'f' AND c.connamespace = 'public'::regnamespace AND mine.attname <> 'tenant_id'",
    )
    assert without == []


def test_foreign_keys_to_tenants_delete_with_the_tenant(catalogue: Catalogue) -> None:
    kept = rows(
        catalogue,
        "SELECT conname::text FROM pg_constraint WHERE contype = 'f' AND confrelid = 'tenants'::regclass"
        " AND confdeltype <> 'c'",
    )
    assert kept == []
    linked = rows(
        catalogue,
        "SELECT conrelid::regclass::text FROM pg_constraint WHERE contype = 'f' AND confrelid = 'tenants'::regclass",
    )
    assert {str(table) for (table,) in linked} == TENANT_TABLES - {"tenants"}


def test_roles_have_no_powers_of_their_own(catalogue: Catalogue) -> None:
    powers = rows(
        catalogue,
        "SELECT rolname::text, rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls FROM pg_roles"
        " WHERE rolname LIKE 'secondbrain%%' ORDER BY 1",
    )
    names = sorted((APP_ROLE, OPERATOR_ROLE, OWNER_ROLE, READONLY_ROLE, SEARCH_ROLE))
    assert powers == [(name, False, False, False, False, False) for name in names]


def test_roles_become_no_more_than_they_need(catalogue: Catalogue) -> None:
    """The app becomes the operator, and inherits nothing from it; the owner becomes both it has objects of."""
    members = rows(
        catalogue,
        "SELECT member::regrole::text, roleid::regrole::text, inherit_option, set_option, admin_option"
        " FROM pg_auth_members WHERE member::regrole::text LIKE 'secondbrain%%' ORDER BY 1, 2",
    )
    assert members == [
        (APP_ROLE, OPERATOR_ROLE, False, True, False),
        (OWNER_ROLE, OPERATOR_ROLE, False, True, False),
        (OWNER_ROLE, SEARCH_ROLE, False, True, False),
    ]


def test_owners_are_the_ones_intended(catalogue: Catalogue) -> None:
    owned = rows(
        catalogue,
        """
        SELECT n.nspname::text, c.relkind::text, pg_get_userbyid(c.relowner)::text, count(*) > 0
        FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname IN ('public', 'ops') AND c.relkind IN ('r', 'v', 'p', 'm', 'S') GROUP BY 1, 2, 3
        UNION ALL
        SELECT n.nspname::text, p.proname::text, pg_get_userbyid(p.proowner)::text, p.prosecdef
        FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
        WHERE n.nspname IN ('public', 'ops')
          AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.objid = p.oid AND d.deptype = 'e')
        ORDER BY 1, 2
        """,
    )
    assert owned == [
        ("ops", "v", OPERATOR_ROLE, True),
        ("public", "S", OWNER_ROLE, True),
        ("public", "count_lexemes", SEARCH_ROLE, True),
        ("public", "nearest_by_index", SEARCH_ROLE, False),
        ("public", "nearest_chunks", SEARCH_ROLE, False),
        ("public", "phrase_of", OWNER_ROLE, False),
        ("public", "r", OWNER_ROLE, True),
        ("public", "search_chunks", SEARCH_ROLE, True),
        ("public", "vector_index_name", OWNER_ROLE, False),
        ("public", "words_as_written", OWNER_ROLE, False),
        ("public", "words_of", OWNER_ROLE, False),
    ]


def test_search_functions_are_narrow(catalogue: Catalogue) -> None:
    """They run as a role that reads chunks and nothing else, with a fixed search path, for the app alone."""
    made = rows(
        catalogue,
        "SELECT proconfig, proacl::text[], provolatile::text FROM pg_proc WHERE proname IN ('count_lexemes', 'search_chunks')",
    )
    assert made == 2 * [
        (
            ["search_path=pg_catalog, public, pg_temp"],
            [f"{SEARCH_ROLE}=X/{SEARCH_ROLE}", f"{APP_ROLE}=X/{SEARCH_ROLE}"],
            "s",
        )
    ]
    assert granted(catalogue, SEARCH_ROLE) == {("chunks", "SELECT"), ("chunk_vectors", "SELECT")}
    only_for_them = rows(
        catalogue,
        "SELECT proacl::text[] FROM pg_proc WHERE proname IN ('nearest_by_index', 'nearest_chunks')",
    )
    assert only_for_them == 2 * [([f"{SEARCH_ROLE}=X/{SEARCH_ROLE}"],)]


def test_readonly_reads_every_view_and_no_table(catalogue: Catalogue) -> None:
    views = rows(catalogue, "SELECT 'ops.' || viewname FROM pg_views WHERE schemaname = 'ops'")
    assert len(views) > 5
    assert granted(catalogue, READONLY_ROLE) == {(str(view), "SELECT") for (view,) in views}


def test_public_is_granted_nothing(catalogue: Catalogue) -> None:
    assert granted(catalogue, "public") == set()
    may_create = rows(
        catalogue,
        "SELECT has_schema_privilege('public', s, 'CREATE') FROM unnest('{public,ops}'::text[]) AS s",
    )
    assert may_create == [(False,), (False,)]


def test_nobody_but_the_owner_may_create_truncate_or_add_triggers(catalogue: Catalogue) -> None:
    for role in (APP_ROLE, OPERATOR_ROLE, SEARCH_ROLE, READONLY_ROLE):
        # USAGE is to draw from a sequence.
        beyond = {p for _, p in granted(catalogue, role)} - {"SELECT", "INSERT", "UPDATE", "DELETE", "USAGE"}
        assert not beyond, role
        assert rows(
            catalogue,
            "SELECT has_schema_privilege(%s, s, 'CREATE') FROM unnest('{public,ops}'::text[]) AS s",
            role,
        ) == [(False,), (False,)], role


@pytest.mark.parametrize("column", SEALED_OFF)
def test_operator_cannot_read_content_or_secrets(catalogue: Catalogue, column: str) -> None:
    table, _, name = column.partition(".")
    assert rows(
        catalogue, "SELECT has_column_privilege(%s, %s, %s, 'SELECT')", OPERATOR_ROLE, table, name
    ) == [(False,)]


def test_operator_adds_rows_only_where_no_tenant_owns_them(catalogue: Catalogue) -> None:
    writable = rows(
        catalogue,
        "SELECT c.relname::text FROM pg_class AS c WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace"
        " AND has_any_column_privilege(%s, c.oid, 'INSERT') ORDER BY 1",
        OPERATOR_ROLE,
    )
    # And jobs, as their tenants have scheduled them: by a policy of its own, tried in tests/jobs/test_schedules.py.
    assert writable == [
        ("installation_config_versions",),
        ("instances",),
        ("jobs",),
        ("rate_limits",),
        ("signing_keys",),
        ("workers",),
    ]
    narrowed = rows(
        catalogue,
        "SELECT tablename::text, policyname::text, cmd, roles::text[] FROM pg_policies"
        " WHERE schemaname = 'public' AND permissive = 'RESTRICTIVE' ORDER BY 1",
    )
    assert narrowed == [
        ("jobs", "scheduled", "INSERT", [OPERATOR_ROLE]),
        ("sessions", "ending", "UPDATE", [OPERATOR_ROLE]),
    ]


def test_app_does_not_touch_what_is_no_tenant_s(catalogue: Catalogue) -> None:
    assert granted(catalogue, APP_ROLE) & {
        (table, privilege) for table in NOT_TENANTS for privilege in ("SELECT", "INSERT", "UPDATE", "DELETE")
    } == {("alembic_version", "SELECT"), ("installation_config_versions", "SELECT")}


def test_signing_keys_cannot_be_replaced_in_place(catalogue: Catalogue) -> None:
    """The app role sees nothing of them; the operator role adds and retires keys, and alters none."""
    changeable = rows(
        catalogue,
        "SELECT a.attname::text FROM pg_attribute AS a WHERE a.attrelid = 'signing_keys'::regclass AND a.attnum > 0"
        " AND has_column_privilege(%s, a.attrelid, a.attname, 'UPDATE') ORDER BY 1",
        OPERATOR_ROLE,
    )
    assert changeable == [("retired_because",), ("retires_at",)]
    for role in (APP_ROLE, READONLY_ROLE):
        assert rows(
            catalogue,
            "SELECT has_any_column_privilege(%s, 'signing_keys', 'SELECT, INSERT, UPDATE')",
            role,
        ) == [(False,)]
    shown = rows(
        catalogue,
        "SELECT attname::text FROM pg_attribute WHERE attrelid = 'ops.signing_keys'::regclass AND attnum > 0",
    )
    assert ("sealed",) not in shown


def granted(catalogue: Catalogue, role: str) -> set[tuple[str, str]]:
    """(relation, privilege) pairs granted to the role itself, on whole relations of others."""
    found = rows(
        catalogue,
        "SELECT c.oid::regclass::text, a.privilege_type FROM pg_class AS c, aclexplode(c.relacl) AS a"
        " WHERE c.relnamespace IN ('public'::regnamespace, 'ops'::regnamespace)"
        " AND a.grantee <> c.relowner AND a.grantee = CASE %s WHEN 'public' THEN 0 ELSE to_regrole(%s) END",
        role,
        role,
    )
    return {(str(relation), str(privilege)) for relation, privilege in found}
