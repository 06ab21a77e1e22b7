"""The SQL of the graph and of the names; every statement is about the tenant `:tenant_id` and no other."""

from typing import Final

#: Makes the named entities and locks them, together with those the `:replaced` documents name so far, in one order
#: for everybody: two transactions that touch the same entities wait for each other and never in a circle. An
#: update that changes nothing is how ON CONFLICT locks a row and returns its id. Whoever writes or drops a
#: relation, a mention or evidence holds the entities concerned, so those tables need no order of their own.
HOLD_ENTITIES: Final = """
    INSERT INTO graph_entities (tenant_id, id, kind, provider, external_key, name, name_key)
    SELECT DISTINCT ON (kind, provider, external_key)
           CAST(:tenant_id AS uuid), id, kind, provider, external_key, name, name_key
    FROM (
        SELECT uuidv7() AS id, kind, provider, external_key, name, name_key, 0 AS age
        FROM jsonb_to_recordset(CAST(:entities AS jsonb))
            AS new (kind text, provider text, external_key text, name text, name_key text)
        UNION ALL
        SELECT e.id, e.kind, e.provider, e.external_key, e.name, e.name_key, 1
        FROM graph_mentions AS m
        JOIN graph_entities AS e ON e.tenant_id = m.tenant_id AND e.id = m.entity_id
        WHERE m.tenant_id = :tenant_id AND m.document_id = ANY (CAST(:replaced AS uuid[]))
    ) AS touched
    ORDER BY kind, provider, external_key, age
    ON CONFLICT (tenant_id, kind, provider, external_key)
    -- Only locked, not named: it keeps the name it has by now, which may be newer than what was read above.
    DO UPDATE SET
        name = CASE WHEN excluded.id = graph_entities.id THEN graph_entities.name ELSE excluded.name END,
        name_key = CASE WHEN excluded.id = graph_entities.id THEN graph_entities.name_key ELSE excluded.name_key END
    RETURNING id, kind, provider, external_key
"""

TAKE_BACK_EVIDENCE: Final = """
    DELETE FROM graph_evidence WHERE tenant_id = :tenant_id AND document_id = ANY (CAST(:replaced AS uuid[]))
    RETURNING subject_id, kind, object_id
"""

TAKE_BACK_MENTIONS: Final = """
    DELETE FROM graph_mentions WHERE tenant_id = :tenant_id AND document_id = ANY (CAST(:replaced AS uuid[]))
    RETURNING entity_id
"""

MENTION: Final = """
    INSERT INTO graph_mentions (tenant_id, entity_id, document_id, chunk_id)
    SELECT CAST(:tenant_id AS uuid), entity_id, document_id, chunk_id
    FROM jsonb_to_recordset(CAST(:mentions AS jsonb)) AS new (entity_id uuid, document_id uuid, chunk_id uuid)
    ON CONFLICT (tenant_id, entity_id, document_id)
    DO UPDATE SET chunk_id = coalesce(excluded.chunk_id, graph_mentions.chunk_id)
"""

LINK: Final = """
    WITH said AS MATERIALIZED (
        SELECT subject_id, kind, object_id, document_id, chunk_id
        FROM jsonb_to_recordset(CAST(:relations AS jsonb))
            AS new (subject_id uuid, kind text, object_id uuid, document_id uuid, chunk_id uuid)
    ), related AS (
        INSERT INTO graph_relations (tenant_id, subject_id, kind, object_id)
        SELECT DISTINCT CAST(:tenant_id AS uuid), subject_id, kind, object_id FROM said
        ON CONFLICT (tenant_id, subject_id, kind, object_id) DO NOTHING
    )
    INSERT INTO graph_evidence (tenant_id, subject_id, kind, object_id, document_id, chunk_id)
    SELECT CAST(:tenant_id AS uuid), subject_id, kind, object_id, document_id, chunk_id FROM said
    ON CONFLICT (tenant_id, subject_id, kind, object_id, document_id)
    DO UPDATE SET chunk_id = coalesce(excluded.chunk_id, graph_evidence.chunk_id)
"""

DROP_UNSUPPORTED: Final = """
    WITH dropped AS (
        DELETE FROM graph_relations AS r
        USING jsonb_to_recordset(CAST(:relations AS jsonb)) AS c (subject_id uuid, kind text, object_id uuid)
        WHERE r.tenant_id = :tenant_id
          AND (r.subject_id, r.kind, r.object_id) = (c.subject_id, c.kind, c.object_id)
          AND NOT EXISTS (
              SELECT FROM graph_evidence AS e
              WHERE e.tenant_id = r.tenant_id
                AND (e.subject_id, e.kind, e.object_id) = (r.subject_id, r.kind, r.object_id))
    )
    DELETE FROM graph_entities AS e
    WHERE e.tenant_id = :tenant_id AND e.id = ANY (CAST(:entities AS uuid[]))
      AND NOT EXISTS (SELECT FROM graph_mentions AS m WHERE m.tenant_id = e.tenant_id AND m.entity_id = e.id)
"""

#: Breadth first. UNION keeps each (entity, distance) once, so a circle adds an entity at most once a step, and
#: :depth ends it. Rows come in order of distance and the inner LIMIT stops the walk, so a hub with a million
#: neighbours costs no more than :visits rows.
NEIGHBOURS: Final = """
    WITH RECURSIVE walk (id, distance) AS (
        SELECT CAST(:entity_id AS uuid), 0
        UNION
        SELECT next.id, walk.distance + 1
        FROM walk CROSS JOIN LATERAL (
            SELECT r.object_id FROM graph_relations AS r
            WHERE r.tenant_id = :tenant_id AND r.subject_id = walk.id
            UNION ALL
            SELECT r.subject_id FROM graph_relations AS r
            WHERE r.tenant_id = :tenant_id AND r.object_id = walk.id
        ) AS next (id)
        WHERE walk.distance < :depth
    ), visited AS MATERIALIZED (
        SELECT id, distance FROM walk LIMIT :visits
    )
    SELECT e.id, e.kind, e.provider, e.external_key, e.name, reached.distance,
           (SELECT count(*) FROM visited) >= :visits AS is_cut_off
    FROM (SELECT id, min(distance) AS distance FROM visited GROUP BY id) AS reached
    JOIN graph_entities AS e ON e.tenant_id = :tenant_id AND e.id = reached.id
    ORDER BY reached.distance, e.kind, e.name_key, e.id
    LIMIT :entities
"""

RELATIONS_AMONG: Final = """
    SELECT r.subject_id, r.kind, r.object_id, count(*) AS documents,
           (array_agg(v.document_id ORDER BY v.document_id))[1:3] AS document_ids
    FROM graph_relations AS r
    JOIN graph_evidence AS v ON v.tenant_id = r.tenant_id
        AND (v.subject_id, v.kind, v.object_id) = (r.subject_id, r.kind, r.object_id)
    WHERE r.tenant_id = :tenant_id AND r.subject_id = ANY (CAST(:ids AS uuid[]))
      AND r.object_id = ANY (CAST(:ids AS uuid[]))
    GROUP BY r.subject_id, r.kind, r.object_id
    ORDER BY r.subject_id, r.kind, r.object_id
    LIMIT :relations
"""

#: A row counts until it expires, and only while it is still the whole truth about that spelling: everything it
#: names is there, and whoever bears exactly that name is among it. Otherwise a second John Smith, who came after
#: the look-up, would be taken for the first.
RESOLVED: Final = """
    SELECT a.alias, a.entity_ids FROM entity_aliases AS a
    WHERE a.tenant_id = :tenant_id AND a.kind = :kind AND a.alias = ANY (CAST(:aliases AS text[]))
      AND a.expires_at > now()
      AND NOT EXISTS (
          SELECT FROM unnest(a.entity_ids) AS named (id) WHERE NOT EXISTS (
              SELECT FROM graph_entities AS e WHERE e.tenant_id = a.tenant_id AND e.id = named.id))
      AND NOT EXISTS (
          SELECT FROM graph_entities AS e
          WHERE e.tenant_id = a.tenant_id AND e.kind = a.kind AND e.name_key = a.alias
            AND e.id <> ALL (a.entity_ids))
"""

REMEMBER: Final = """
    INSERT INTO entity_aliases (tenant_id, kind, alias, entity_ids, created_at, expires_at)
    SELECT CAST(:tenant_id AS uuid), CAST(:kind AS text), alias,
           ARRAY(SELECT jsonb_array_elements_text(ids)::uuid), now(), now() + CAST(:lifetime AS interval)
    FROM jsonb_to_recordset(CAST(:aliases AS jsonb)) AS new (alias text, ids jsonb)
    ORDER BY alias
    ON CONFLICT (tenant_id, kind, alias)
    DO UPDATE SET entity_ids = excluded.entity_ids, created_at = excluded.created_at, expires_at = excluded.expires_at
"""

#: By time alone, as the operator role may not read the names.
PURGE: Final = """
    DELETE FROM entity_aliases WHERE expires_at <= (
        SELECT max(expires_at) FROM (
            SELECT expires_at FROM entity_aliases WHERE expires_at < now() - CAST(:older_than AS interval)
            ORDER BY expires_at LIMIT :limit
        ) AS oldest)
    RETURNING tenant_id
"""
