"""/api/admin/parser and /api/admin/reload-parser."""

from flask import Response
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field

from backend.configs.repository import ConfigRepository
from backend.configs.schemas import ParserConfig
from backend.flows.reload_parser.flow import Running, list_parsers
from backend.web import Answer, administrator, answer, services

api = APIBlueprint(
    "parser",
    __name__,
    url_prefix="/api/admin",
    abp_tags=[Tag(name="parser", description="Reading documents")],
)


class ParserView(BaseModel):
    """A process."""

    instance: str
    kind: str = Field(description="web or worker")
    product_version: str
    state: str = Field(description="alive, or silent: killed or cut off")
    silent_seconds: float
    started_at: str
    version: int | None = Field(description="Of the workspace's own settings; null while it cannot follow")
    installation_version: int | None
    is_current: bool = Field(description="Whether it runs what counts now")


class Parsers(Answer):
    version: int
    installation_version: int
    origin: str = Field(description="Whose settings count: tenant, installation or default")
    instances: list[ParserView]


class Reloading(Answer):
    status: str = "reload signaled"
    version: int = Field(description="Shown by GET /api/admin/parser for every process that has reloaded")


@api.get("/parser", responses={200: Parsers})
def get_parser() -> Response:
    """Which process runs which version of the parser's settings."""
    who = administrator()
    in_force, running = list_parsers(services().db, who.tenant_id)
    return answer(
        Parsers(
            version=in_force.version,
            installation_version=in_force.installation_version,
            origin=in_force.origin,
            instances=[_view(one) for one in running],
        )
    )


@api.post("/reload-parser", responses={200: Reloading})
def reload_parser() -> Response:
    """Make every process let go of the parser's settings and read them again."""
    who = administrator()
    with services().db.transaction(who.tenant_id) as session:
        version = ConfigRepository(session).reload(who.tenant_id, ParserConfig.name, by=who.user_id)
    return answer(Reloading(version=version))


def _view(one: Running) -> ParserView:
    seen = one.instance
    return ParserView(
        instance=seen.name,
        kind=seen.kind,
        product_version=seen.version,
        state=seen.state,
        silent_seconds=round(seen.silent_seconds, 1),
        started_at=seen.started_at.isoformat(),
        version=one.version,
        installation_version=one.installation_version,
        is_current=one.is_current,
    )
