"""POST /api/integrations/{type}/disconnect."""

from typing import Literal

from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field

from backend.connectors.catalogue import find_provider
from backend.flows.disconnect_source.flow import DisconnectSource
from backend.flows.list_sources.flow import SourcePath
from backend.web import Answer, administrator, answer, services

api = APIBlueprint(
    "disconnect",
    __name__,
    url_prefix="/api/integrations",
    abp_tags=[Tag(name="integrations", description="Connecting sources")],
)


class DisconnectBody(BaseModel):
    documents: Literal["keep", "delete"] = Field(
        "keep", description="keep: they stay searchable; delete: they are deleted in the background"
    )


class Disconnected(Answer):
    message: str
    revoked: bool = Field(description="Whether the access has ended at the provider too")
    removing: bool = Field(description="Whether documents are being deleted; how far, the list says")


@api.post("/<connector_type>/disconnect", responses={200: Disconnected})
def disconnect(path: SourcePath) -> Response:
    """Stop a running sync, forget the credentials, end them at the provider, and keep or delete the documents."""
    who = administrator()
    s = services()
    provider = find_provider(s.providers, path.connector_type)
    # Not a model in the signature: existing clients send no body, or one that is not marked as JSON.
    wishes = DisconnectBody.model_validate(request.get_json(silent=True, force=True) or {})
    outcome = DisconnectSource(s.db, s.keyring, s.oauth_providers, s.api_bases).disconnect(
        who.tenant_id, provider, requested_by=who.user_id, documents=wishes.documents
    )
    if outcome.is_revoked:
        message = "Disconnected."
    else:
        where = provider.where_to_end_access or f"Please also remove the access at {provider.name}."
        message = f"Disconnected here. {where}"
    return answer(Disconnected(message=message, revoked=outcome.is_revoked, removing=outcome.is_removing))
