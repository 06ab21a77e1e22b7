"""What the documents are about: entities, how they are related, which document says so, and names looked up lately.

    document stored ──► mentions and evidence written ──► document replaced: its own are exchanged ──► deleted: gone
    entity, relation: made by the first document that names it, gone with the last one

An entity is identified by (kind, provider, external key): a login, a full repository name, a document's id at its
source. Never by its name: two people called John Smith stay two, and a name may stand for several entities. A
document's own words are its evidence; an entity or a relation that no document supports any more is not kept.

    SELECT s.name, r.kind, o.name, (SELECT count(*) FROM graph_evidence e WHERE (e.tenant_id, e.subject_id, e.kind,
    e.object_id) = (r.tenant_id, r.subject_id, r.kind, r.object_id)) AS documents FROM graph_relations r
    JOIN graph_entities s ON (s.tenant_id, s.id) = (r.tenant_id, r.subject_id)
    JOIN graph_entities o ON (o.tenant_id, o.id) = (r.tenant_id, r.object_id) ORDER BY documents DESC LIMIT 20;

or, how large it is per tenant: SELECT * FROM ops.knowledge;

`facts.py` and `names.py` are the room's values, `frames.py` takes sentences apart, `claims.py` compares what they
say within one analysis and keeps nothing; `statements.py` is the SQL of the graph.
"""
