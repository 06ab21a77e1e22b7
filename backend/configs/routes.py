"""/api/admin/config/{name}: what counts for the workspace; publish, withdraw, history, restore."""

import re
from typing import Any

from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field

from backend.configs.repository import ConfigRepository, InForce, Version
from backend.configs.schemas import validated
from backend.errors import Invalid
from backend.web import Answer, administrator, answer, services

api = APIBlueprint(
    "configs",
    __name__,
    url_prefix="/api/admin/config",
    abp_tags=[Tag(name="configs", description="What may change while the product runs")],
)

#: Also a weak tag, which a proxy that compresses makes of ours.
_ETAG = re.compile(r'(?:W/)?"(\d{1,9})"')


class VersionNotNamed(Invalid):
    """Send If-Match with the ETag you have read, or * to write over whatever is there."""


class ConfigPath(BaseModel):
    name: str = Field(max_length=100)


class Paging(BaseModel):
    limit: int = Field(50, ge=1, le=200)
    before: int | None = Field(
        None, ge=1, le=2**31 - 1, description="Only older versions: the last one you have"
    )


class Publishing(BaseModel):
    settings: dict[str, Any] = Field(description="What is left out has its default")


class Restoring(BaseModel):
    version: int = Field(ge=1, le=2**31 - 1)


class ConfigView(BaseModel):
    name: str
    version: int = Field(description="The workspace's own newest version, 0 if it has none; the ETag")
    installation_version: int
    origin: str = Field(description="Whose settings count: tenant, installation or default")
    settings: dict[str, Any]


class ConfigAnswer(Answer):
    config: ConfigView


class VersionView(BaseModel):
    version: int
    settings: dict[str, Any] | None = Field(description="null: the installation's count from here on")
    note: str | None
    published_by: str | None
    created_at: str


class History(Answer):
    versions: list[VersionView]


@api.get("/<name>", responses={200: ConfigAnswer})
def get_config(path: ConfigPath) -> Response:
    """What counts for the workspace, and which version it is."""
    who = administrator()
    with services().db.transaction(who.tenant_id) as session:
        found = ConfigRepository(session).current(who.tenant_id, path.name)
    return _answer(path.name, found)


@api.put("/<name>", responses={200: ConfigAnswer})
def put_config(path: ConfigPath, body: Publishing) -> Response:
    """Publish a version of the workspace's own; every process follows within two seconds."""
    who, expected = administrator(), _expected()
    config = validated(path.name, body.settings)
    with services().db.transaction(who.tenant_id) as session:
        repository = ConfigRepository(session)
        repository.publish(who.tenant_id, config, expected=expected, by=who.user_id)
        found = repository.current(who.tenant_id, path.name)
    return _answer(path.name, found)


@api.delete("/<name>", responses={200: ConfigAnswer})
def delete_config(path: ConfigPath) -> Response:
    """Go back to what counts for the whole installation; the history stays."""
    who, expected = administrator(), _expected()
    with services().db.transaction(who.tenant_id) as session:
        repository = ConfigRepository(session)
        repository.withdraw(who.tenant_id, path.name, expected=expected, by=who.user_id)
        found = repository.current(who.tenant_id, path.name)
    return _answer(path.name, found)


@api.get("/<name>/history", responses={200: History})
def get_history(path: ConfigPath, query: Paging) -> Response:
    """The workspace's own versions, the newest first."""
    who = administrator()
    with services().db.transaction(who.tenant_id) as session:
        rows = ConfigRepository(session).history(
            who.tenant_id, path.name, limit=query.limit, before=query.before
        )
    return answer(History(versions=[_version(row) for row in rows]))


@api.post("/<name>/restore", responses={200: ConfigAnswer})
def restore_config(path: ConfigPath, body: Restoring) -> Response:
    """Publish an old version's settings again, as a new version."""
    who, expected = administrator(), _expected()
    with services().db.transaction(who.tenant_id) as session:
        repository = ConfigRepository(session)
        repository.restore(who.tenant_id, path.name, body.version, expected=expected, by=who.user_id)
        found = repository.current(who.tenant_id, path.name)
    return _answer(path.name, found)


def _expected() -> int | None:
    """The version that If-Match names; None for *."""
    given = request.headers.get("If-Match", "").strip()
    if given == "*":
        return None
    if found := _ETAG.fullmatch(given):
        return int(found[1])
    raise VersionNotNamed


def _answer(name: str, found: InForce) -> Response:
    view = ConfigView(
        name=name,
        version=found.version,
        installation_version=found.installation_version,
        origin=found.origin,
        settings=found.settings.model_dump(mode="json"),
    )
    response = answer(ConfigAnswer(config=view))
    response.set_etag(str(found.version))
    return response


def _version(row: Version) -> VersionView:
    by = getattr(row, "published_by", None)
    return VersionView(
        version=row.version,
        settings=row.settings,
        note=row.note,
        published_by=None if by is None else str(by),
        created_at=row.created_at.isoformat(),
    )
