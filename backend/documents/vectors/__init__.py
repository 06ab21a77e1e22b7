"""Vectors of passages, by model: which are missing, and which may go.

SELECT embedding_model, count(*) FROM chunk_vectors GROUP BY embedding_model;
"""
