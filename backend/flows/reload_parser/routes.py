"""/api/admin/parser and /api/admin/reload-parser."""

from flask import Response
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field

from backend.configs.repository import ConfigRepository
from backend.configs.schemas import ParserConfig
from backend.documents.cuts.repository import CutRepository
from backend.flows.recut_documents.flow import apply_parser, wanted_cuts
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
    documents_outdated: int = Field(description="Documents cut otherwise; POST …/parser/apply cuts them anew")
    instances: list[ParserView]


class Applying(Answer):
    job_id: str | None = Field(description="See GET /api/jobs/{id}; null if there is nothing to do")
    documents: int = Field(description="How many were cut otherwise than the settings say now")


class Reloading(Answer):
    status: str = "reload signaled"
    version: int = Field(description="Shown by GET /api/admin/parser for every process that has reloaded")


@api.get("/parser", responses={200: Parsers})
def get_parser() -> Response:
    """Which process runs which version of the parser's settings."""
    who = administrator()
    s = services()
    in_force, running = list_parsers(s.db, who.tenant_id)
    with s.db.transaction(who.tenant_id) as session:
        outdated = CutRepository(session).count_outdated(
            who.tenant_id, wanted_cuts(s.configs.current(who.tenant_id, ParserConfig))
        )
    return answer(
        Parsers(
            version=in_force.version,
            installation_version=in_force.installation_version,
            origin=in_force.origin,
            documents_outdated=outdated,
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


@api.post("/parser/apply", responses={202: Applying})
def apply_settings() -> Response:
    """Cut documents anew that were cut by other settings, in the background.

    Files that were handed in are read anew for it; others are cut from the text that is stored, and those of them that
    were too long for the settings before are read with the next sync that goes over everything, or import.
    Each stays as it is until it is replaced, whole. Again while that is under way, and nothing more happens.
    """
    who = administrator()
    s = services()
    config = s.configs.current(who.tenant_id, ParserConfig)
    with s.db.transaction(who.tenant_id) as session:
        asked = apply_parser(session, who.tenant_id, config)
    return answer(
        Applying(job_id=str(asked.job_id) if asked.job_id else None, documents=asked.document_count),
        status=202,
    )


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
