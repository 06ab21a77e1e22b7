"""From a question to the passages that answer it, and to an answer that cites them.

`repository` is the one statement that ranks by words and by meaning, `answer` composes an answer from the best
sentences, `llm` has one written by a language model, if one is configured, from the same passages.

    BEGIN; SELECT set_config('app.tenant_id', '<tenant>', true);
    SELECT * FROM search_chunks('{backup}', (SELECT embedding FROM chunk_vectors LIMIT 1), 'none', 50, 10, 0);
"""
