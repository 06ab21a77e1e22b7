"""Which model's vectors a tenant's searches compare, one row a tenant, from its first document on.

Serving; then embedding, when another model is wanted: the old one serves until each passage has the new one's vector as
well; then purging, when the new one serves and the old one's vectors go; then serving again.

    SELECT model, next_model, state, done_count, total_count, error FROM serving_models;
"""
