"""One row for every table of a tenant, so that what holds for all tables can be tried on each of them."""

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Final, LiteralString
from uuid import UUID

import psycopg

from backend.db.base import Base
from backend.rooms import ROOMS

_NAME: Final = "CAST(%(tenant)s AS text)"
_TENANT: Final = f"CAST({_NAME} AS uuid)"
_OWN_ID: Final = f"CAST(md5({_NAME} || 'row') AS uuid)"
_HASH: Final = f"sha256(convert_to({_NAME}, 'UTF8'))"
_SOON: Final = "now() + interval '1 hour'"

#: Table -> column -> SQL expression; what has a default is left out. Ids follow from the tenant, so that the
#: rows of a tenant belong together and a row can be made a second time.
SAMPLES: Final[Mapping[str, Mapping[str, LiteralString]]] = MappingProxyType(
    {
        "tenants": {"id": _TENANT, "slug": f"'s-' || md5({_NAME})", "name": "'Sample'"},
        "users": {
            "tenant_id": _TENANT,
            "id": _OWN_ID,
            "email": f"md5({_NAME}) || '@example.org'",
            "full_name": "'Sample'",
            "role": "'admin'",
            "password_hash": "'!'",
        },
        "sessions": {"tenant_id": _TENANT, "id": _OWN_ID, "user_id": _OWN_ID, "expires_at": _SOON},
        "refresh_tokens": {
            "tenant_id": _TENANT,
            "token_sha256": _HASH,
            "session_id": _OWN_ID,
            "expires_at": _SOON,
        },
        "oauth_nonces": {
            "tenant_id": _TENANT,
            "nonce_sha256": _HASH,
            "user_id": _OWN_ID,
            "connector_type": "'github'",
            "expires_at": _SOON,
        },
        "connectors": {"tenant_id": _TENANT, "id": _OWN_ID, "type": "'github'", "status": "'connected'"},
        "credentials": {"tenant_id": _TENANT, "connector_id": _OWN_ID, "sealed": _HASH},
        "jobs": {"id": _OWN_ID, "tenant_id": _TENANT, "kind": "'sync'"},
        "schedules": {
            "tenant_id": _TENANT,
            "id": _OWN_ID,
            "name": "'sync'",
            "kind": "'sync'",
            "every": "interval '1 hour'",
            "next_run_at": _SOON,
        },
        "sync_runs": {
            "tenant_id": _TENANT,
            "id": _OWN_ID,
            "connector_id": _OWN_ID,
            "connector_type": "'github'",
        },
        "sync_errors": {
            "tenant_id": _TENANT,
            "run_id": _OWN_ID,
            "external_id": "'file.txt'",
            "stage": "'parse'",
            "reason": "'It is empty.'",
        },
        "sync_transitions": {
            "tenant_id": _TENANT,
            "run_id": _OWN_ID,
            "seq": "1",
            "state": "'queued'",
            "actor": "'user'",
        },
        "sync_positions": {"tenant_id": _TENANT, "connector_id": _OWN_ID},
        "sync_items": {
            "tenant_id": _TENANT,
            "connector_id": _OWN_ID,
            "external_id": "'file.txt'",
            "state": "'stored'",
            "run_id": _OWN_ID,
            "pass_number": "1",
        },
        "source_removals": {"tenant_id": _TENANT, "connector_id": _OWN_ID, "total_count": "1"},
        "webhook_deliveries": {
            "tenant_id": _TENANT,
            "connector_id": _OWN_ID,
            "delivery_id": "'72d3162e'",
            "effect": "'sync'",
        },
        "watch_channels": {"tenant_id": _TENANT, "connector_id": _OWN_ID},
        "documents": {
            "tenant_id": _TENANT,
            "id": _OWN_ID,
            "connector_id": _OWN_ID,
            "external_id": "'file.txt'",
            "source_type": "'github'",
            "kind": "'file'",
            "title": "'Sample'",
            "file_name": "'file.txt'",
            "mime_type": "'text/plain'",
            "content": "'lighthouse'",
            "content_sha256": _HASH,
            "byte_size": "10",
        },
        "config_versions": {
            "tenant_id": _TENANT,
            "name": "'parser'",
            "version": "1",
            "settings": "CAST('{}' AS jsonb)",
            "revision": "nextval('config_revisions')",
        },
        "chunks": {
            "tenant_id": _TENANT,
            "id": _OWN_ID,
            "document_id": _OWN_ID,
            "ordinal": "0",
            "text": "'lighthouse'",
            "start_offset": "0",
            "end_offset": "10",
            "search": "words_of('lighthouse')",
        },
        "serving_models": {"tenant_id": _TENANT, "model": "'sample'"},
        "chunk_vectors": {
            "tenant_id": _TENANT,
            "chunk_id": _OWN_ID,
            "embedding_model": "'sample'",
            "document_id": _OWN_ID,
            "embedding": "CAST('[1,0,0]' AS halfvec)",
        },
        "idempotency_keys": {
            "tenant_id": _TENANT,
            "user_id": _OWN_ID,
            "key_sha256": _HASH,
            "fingerprint_sha256": _HASH,
            "request": "'POST /api/search'",
            "lease": "1",
            "leased_until": _SOON,
            "status_code": "200",
            "sealed_answer": _HASH,
            "answered_at": "now()",
            "expires_at": _SOON,
        },
        "api_keys": {
            "tenant_id": _TENANT,
            "id": _OWN_ID,
            "user_id": _OWN_ID,
            "name": "'Sample'",
            "secret_sha256": _HASH,
            "scopes": "ARRAY['read']",
        },
        "entity_aliases": {
            "tenant_id": _TENANT,
            "kind": "'person'",
            "alias": "'ada'",
            "entity_ids": f"ARRAY[{_OWN_ID}]",
            "expires_at": _SOON,
        },
        "graph_entities": {
            "tenant_id": _TENANT,
            "id": _OWN_ID,
            "kind": "'person'",
            "provider": "'github'",
            "external_key": "'ada'",
            "name": "'Ada'",
            "name_key": "'ada'",
        },
        "graph_relations": {
            "tenant_id": _TENANT,
            "subject_id": _OWN_ID,
            "kind": "'knows'",
            "object_id": _OWN_ID,
        },
        "graph_mentions": {"tenant_id": _TENANT, "entity_id": _OWN_ID, "document_id": _OWN_ID},
        "graph_evidence": {
            "tenant_id": _TENANT,
            "subject_id": _OWN_ID,
            "kind": "'knows'",
            "object_id": _OWN_ID,
            "document_id": _OWN_ID,
            "chunk_id": _OWN_ID,
        },
        "component_contents": {
            "tenant_id": _TENANT,
            "sha256": _HASH,
            "content": "'sample'::bytea",
            "byte_size": "6",
        },
        "tenant_components": {
            "tenant_id": _TENANT,
            "name": "'sample'",
            "version": "1",
            "sha256": _HASH,
            "built_at": "now()",
        },
        "embedding_cache": {
            "tenant_id": _TENANT,
            "model": "'sample/3'",
            "text_sha256": _HASH,
            "embedding": "CAST('[1,0,0]' AS halfvec)",
            "expires_at": _SOON,
        },
        "chats": {"tenant_id": _TENANT, "id": _OWN_ID, "user_id": _OWN_ID, "last_message_at": "now()"},
        "chat_messages": {
            "tenant_id": _TENANT,
            "id": _OWN_ID,
            "chat_id": _OWN_ID,
            "role": "'user'",
            "content": "'lighthouse'",
        },
        "searches": {
            "tenant_id": _TENANT,
            "id": _OWN_ID,
            "user_id": _OWN_ID,
            "query": "'lighthouse'",
            "searched": "'lighthouse'",
            "outcome": "'no_results'",
            "confidence": "0",
            "result_count": "0",
            "results": "CAST('[]' AS jsonb)",
            "milliseconds": "1",
        },
        "feedback": {
            "tenant_id": _TENANT,
            "id": _OWN_ID,
            "user_id": _OWN_ID,
            "rating": "'up'",
            "query": "'lighthouse'",
            "answer": "'It is white.'",
        },
        "uploads": {
            "tenant_id": _TENANT,
            "id": _OWN_ID,
            "file_name": "'file.txt'",
            "mime_type": "'text/plain'",
            "byte_size": "10",
            "sha256": _HASH,
            "body": "'lighthouse'::bytea",
        },
    }
)

#: Tables that belong to no tenant.
NOT_TENANTS: Final = frozenset(
    {"workers", "installation_config_versions", "instances", "rate_limits", "signing_keys"}
)


def tenant_tables() -> list[str]:
    """Names of all tables of tenants, each after those it points to."""
    for room in ROOMS:
        import_module(f"backend.{room}.models")
    return [table.name for table in Base.metadata.sorted_tables if table.name not in NOT_TENANTS]


def insert_statement(table: str) -> LiteralString:
    """Inserts the sample row of the tenant given as `%(tenant)s`."""
    columns = SAMPLES[table]
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(columns.values())})"


def tenant_column(table: str) -> str:
    """The column that says whose row it is."""
    return "id" if table == "tenants" else "tenant_id"


def fill(connection: psycopg.Connection[tuple[object, ...]], tenant_id: UUID) -> None:
    """Writes the tenant's row into every table; the connection must be past row level security."""
    for table in tenant_tables():
        connection.execute(insert_statement(table), {"tenant": str(tenant_id)})
