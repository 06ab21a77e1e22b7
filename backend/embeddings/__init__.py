"""Embeddings: texts as points of a space in which similar meanings are near each other.

`providers/` holds where the vectors come from. A vector is meaningful only beside vectors of the same model,
so whoever stores one stores the model's name with it. Embedding a text never happens inside a database
transaction: a provider may be a server on the network.
"""
