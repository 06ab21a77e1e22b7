"""Conversations: what people asked and were answered, each visible to the person whose it is and to nobody else.

    (new, empty: not shown) ──► shown from the first message on ──► archived, pinned … ──► deleted for good

Messages are kept word for word as the client sends them. A conversation that stays empty is purged after a day.

    SELECT title, message_count, last_message_at FROM chats ORDER BY last_message_at DESC;
"""
