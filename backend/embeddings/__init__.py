"""Embeddings: texts as points of a space in which similar meanings are near each other.

`providers/` holds where the vectors come from. A vector is meaningful only beside vectors of the same model,
so whoever stores one stores the model's name with it. Embedding a text never happens inside a database
transaction: a provider may be a server on the network.

The state is `embedding_cache`: vectors of a provider that costs money or time, by tenant, model and SHA-256 of the
text, for a day. Missing, then claimed by one process, which asks the provider once for all of them (`cached`); then
there; then expired, or evicted as one of the oldest of a tenant with too many. A failed embedding leaves no row.

    SELECT model, count(*), sum(byte_size), min(expires_at) FROM embedding_cache GROUP BY model;
"""
