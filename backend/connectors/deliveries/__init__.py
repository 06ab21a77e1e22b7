"""What providers call about, each call once however often and wherever it arrives.

SELECT connector_id, delivery_id, effect, received_at FROM webhook_deliveries ORDER BY received_at DESC;
"""
