"""The documents of one connector, all of them.

SELECT connector_id, count(*) FROM documents WHERE deleted_at IS NULL GROUP BY connector_id;
"""
