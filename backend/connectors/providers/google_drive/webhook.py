"""Drive's push notifications: https://developers.google.com/workspace/drive/api/guides/push

A notification has no body and no signature. What proves it is the token that was given when the channel was opened,
which Google sends back with each.
"""

import hmac

from backend.connectors.providers.contract import ProviderRefused
from backend.connectors.providers.provider import Delivery, Notice


def receive(delivery: Delivery) -> Notice:
    """What a notification says. Raises ProviderRefused when it does not carry the channel's token."""
    token = delivery.headers.get("x-goog-channel-token", "")
    # An empty secret would make the missing token the right one.
    if not delivery.secret or not hmac.compare_digest(token.encode(), delivery.secret.encode()):
        raise ProviderRefused("This notification does not carry the token of its channel.")
    channel = delivery.headers.get("x-goog-channel-id", "")
    number = delivery.headers.get("x-goog-message-number", "")
    if not channel or not number.isdecimal():
        raise ProviderRefused("This notification does not say which one it is.")
    # `sync` says that the channel is open, nothing else.
    return Notice(
        delivery_id=f"{channel}:{number}",
        is_change=delivery.headers.get("x-goog-resource-state", "") != "sync",
    )
