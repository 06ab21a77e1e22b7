"""From a question to the passages that answer it, and to an answer that cites them.

`repository` is the one statement that ranks by words and by meaning, `rerank` a second opinion on it, `answer` composes an answer from the best
sentences. A language model, if one is configured, writes one from the same passages: `prompt` is what it is told, `llm`
asks it, `reading` reads it while it writes, `written` lets through what `support` finds in the cited passages (by the
`anchors` in a sentence: numbers, names), and `plain` keeps out of every answer what is more than words.

    BEGIN; SELECT set_config('app.tenant_id', '<tenant>', true);
    SELECT * FROM search_chunks('{backup}', (SELECT embedding FROM chunk_vectors LIMIT 1), 'none', 50, 10, 0);
"""
