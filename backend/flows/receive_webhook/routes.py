"""/api/webhooks/{type}, for an app or for one connector; and what to write down at the provider."""

import json
from typing import Final

from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag
from pydantic import Field

from backend.connectors.catalogue import find_provider
from backend.connectors.channels.repository import ChannelRepository
from backend.connectors.repository import ConnectorRepository
from backend.flows.list_sources.flow import SourcePath
from backend.flows.receive_webhook.flow import NoSuchWebhook, ReceiveWebhook
from backend.marks import public
from backend.web import Answer, administrator, answer, services

api = APIBlueprint(
    "webhooks",
    __name__,
    abp_tags=[Tag(name="webhooks", description="Providers call when something has changed")],
)

#: GitHub's largest; others send a few thousand.
_LARGEST_BODY: Final = 25 * 1024 * 1024


class AddressPath(SourcePath):
    address: str = Field(max_length=200)


class WebhookAnswer(Answer):
    address: str = Field(description="Where the provider is to call")
    secret: str | None = Field(
        description="What it is to sign with; none when the app's own secret is used, which is a setting"
    )
    channel_until: str | None = Field(
        None, description="The provider was asked to call, and does until then; this is renewed by itself"
    )
    channel_error: str | None = Field(None, description="Why the provider could not be asked to call")


@api.post("/api/webhooks/<connector_type>", responses={200: Answer})
@public
def receive_for_app(path: SourcePath) -> Response:
    """A provider calls for all connectors of an app; the call is signed with the app's secret."""
    return _received(path.connector_type, None)


@api.post("/api/webhooks/<connector_type>/<address>", responses={200: Answer})
@public
def receive_for_connector(path: AddressPath) -> Response:
    """A provider calls for one connector; the address is its own, and so is the secret."""
    return _received(path.connector_type, path.address)


@api.get("/api/integrations/<connector_type>/webhook", responses={200: WebhookAnswer})
def show_webhook(path: SourcePath) -> Response:
    """What to write down at the provider so that it calls when something has changed."""
    who = administrator()
    s = services()
    provider = find_provider(s.providers, path.connector_type)
    if provider.webhook is None:
        raise NoSuchWebhook(f"{provider.name} does not call; it is asked.")
    base = f"{s.settings.public_url}/api/webhooks/{provider.type}"
    if provider.webhook_is_apps:
        if provider.type not in s.webhook_secrets:
            raise NoSuchWebhook(f"The signing secret of {provider.name} is not set on this server.")
        return answer(WebhookAnswer(address=base, secret=None))
    with s.db.transaction(who.tenant_id) as session:
        connector = ConnectorRepository(session).get(who.tenant_id, provider.type)
        channel = ChannelRepository(session).find(who.tenant_id, connector.id)
    webhook = _flow().webhook_of(connector)
    return answer(
        WebhookAnswer(
            address=f"{base}/{webhook.name}",
            secret=webhook.secret,
            channel_until=channel.expires_at.isoformat() if channel and channel.expires_at else None,
            channel_error=channel.error if channel else None,
        )
    )


def _received(connector_type: str, address: str | None) -> Response:
    request.max_content_length = min(_LARGEST_BODY, services().settings.max_request_bytes)
    body = request.get_data(cache=False)
    headers = {name.lower(): value for name, value in request.headers.items()}
    provider = find_provider(services().providers, connector_type)
    notice = _flow().receive(provider, address, headers, body)
    if notice.answer is not None:
        return Response(json.dumps(dict(notice.answer)), mimetype="application/json")
    return answer(Answer())


def _flow() -> ReceiveWebhook:
    s = services()
    return ReceiveWebhook(s.db, s.keyring.master, s.webhook_secrets)
