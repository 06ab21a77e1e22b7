"""What was asked, what was found, what was opened and liked: for finding out what the documents do not answer.

    (asked) ──► logged ──► clicked, rated … ──► purged: after 90 days, or at once by an administrator

A workspace turns it off with the config `search_log`; what people say of answers is kept all the same.

    SELECT query, outcome, confidence, result_count, created_at FROM searches ORDER BY created_at DESC LIMIT 20;
"""
