"""/api/integrations: the list, and one of it."""

from flask import Response
from flask_openapi3 import APIBlueprint, Tag

from backend.connectors.catalogue import find_provider
from backend.flows.list_sources.flow import Integration, SourcePath, read_sources, show, show_all
from backend.web import Answer, answer, principal, services

api = APIBlueprint(
    "integrations",
    __name__,
    url_prefix="/api/integrations",
    abp_tags=[Tag(name="integrations", description="Connecting sources")],
)


class Integrations(Answer):
    integrations: list[Integration]
    connected_count: int


class SourceStatus(Answer):
    status: str
    connector: Integration | None


@api.get("", responses={200: Integrations})
def list_integrations() -> Response:
    """Every source, whether connected or not."""
    who = principal()
    with services().db.transaction(who.tenant_id) as session:
        sources = read_sources(session, who.tenant_id)
    views = show_all(services().providers, sources)
    connected = sum(view.status == "connected" for view in views)
    return answer(Integrations(integrations=views, connected_count=connected))


@api.get("/<connector_type>/status", responses={200: SourceStatus})
def source_status(path: SourcePath) -> Response:
    """One source; no connector when it was never connected."""
    who = principal()
    provider = find_provider(services().providers, path.connector_type)
    with services().db.transaction(who.tenant_id) as session:
        sources = read_sources(session, who.tenant_id)
    view = show(provider, sources)
    return answer(SourceStatus(status=view.status, connector=view if view.connector_id else None))
