"""The documents of a disconnected source being deleted, in the background, and how far that is.

SELECT connector_id, removed_count, total_count, finished_at, error FROM source_removals;
"""
