"""/api/integrations/{type}: settings, configure, choices; and these under the names existing clients know."""

from typing import Any

from flask import Response
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field, RootModel

from backend.connectors.catalogue import find_provider
from backend.connectors.providers.provider import Choice
from backend.flows.configure_source.flow import Chooser, change_setting, change_settings, configure
from backend.flows.list_sources.flow import Integration, SourcePath, read_sources, show
from backend.flows.sync_connector.credentials import CredentialKeeper
from backend.web import Answer, answer, editor, services

api = APIBlueprint(
    "configure",
    __name__,
    url_prefix="/api/integrations",
    abp_tags=[Tag(name="integrations", description="Connecting sources")],
)


class SettingsBody(BaseModel):
    settings: dict[str, Any] = Field(description="What to sync, as the kind of source asks for it")


class SettingsAnswer(Answer):
    connector: Integration


class ConfigureBody(RootModel[dict[str, Any]]):
    """The settings of the kind of source, and its secret if it has one."""


class Configured(Answer):
    message: str
    connector_id: str


class ChoiceView(BaseModel):
    id: str
    name: str
    is_chosen: bool
    details: dict[str, str | int | bool | None]


class Choices(Answer):
    choices: list[ChoiceView]
    total: int
    chosen_count: int


class Channel(BaseModel):
    id: str
    name: str
    is_private: bool
    is_member: bool
    member_count: int
    selected: bool


class Channels(Answer):
    channels: list[Channel]
    total: int
    selected_count: int


class ChannelsBody(BaseModel):
    channels: list[str] = Field(description="Ids; an empty list means none")


class ChannelsChosen(Answer):
    message: str
    channels: list[str]


class Repository(BaseModel):
    id: str
    full_name: str
    selected: bool
    is_private: bool
    description: str | None
    url: str | None


class Repositories(Answer):
    repositories: list[Repository]
    total: int
    selected_count: int


@api.put("/<connector_type>/settings", responses={200: SettingsAnswer})
def put_settings(path: SourcePath, body: SettingsBody) -> Response:
    """Choose what to sync; it counts from the next sync on."""
    who = editor()
    provider = find_provider(services().providers, path.connector_type)
    with services().db.transaction(who.tenant_id) as session:
        change_settings(session, who.tenant_id, provider, body.settings)
        sources = read_sources(session, who.tenant_id)
    return answer(SettingsAnswer(connector=show(provider, sources)))


@api.post("/<connector_type>/configure", responses={200: Configured})
def post_configure(path: SourcePath, body: ConfigureBody) -> Response:
    """Connect a source that needs no account, or change what of it is synced."""
    who = editor()
    s = services()
    provider = find_provider(s.providers, path.connector_type)
    with s.db.transaction(who.tenant_id) as session:
        connector = configure(
            session, s.keyring, who.tenant_id, provider, body.root, configured_by=who.user_id
        )
    return answer(Configured(message=f"{provider.name} is configured.", connector_id=str(connector.id)))


@api.get("/<connector_type>/choices", responses={200: Choices})
def get_choices(path: SourcePath) -> Response:
    """What there is to choose from, asked at the provider now: channels, repositories, folders."""
    found = _choices(path.connector_type)
    views = [ChoiceView(id=c.id, name=c.name, is_chosen=c.is_chosen, details=dict(c.details)) for c in found]
    return answer(Choices(choices=views, total=len(views), chosen_count=sum(c.is_chosen for c in found)))


@api.get("/slack/channels", responses={200: Channels})
def get_channels() -> Response:
    """Slack's channels, all of them; ticked are those that are synced."""
    channels = [
        Channel(
            id=c.id,
            name=c.name,
            is_private=bool(c.details.get("is_private")),
            is_member=bool(c.details.get("is_member")),
            member_count=int(c.details.get("num_members") or 0),
            selected=c.is_chosen,
        )
        for c in _choices("slack")
    ]
    chosen = sum(c.selected for c in channels)
    return answer(Channels(channels=channels, total=len(channels), selected_count=chosen))


@api.put("/slack/channels", responses={200: ChannelsChosen})
def put_channels(body: ChannelsBody) -> Response:
    """Choose which of Slack's channels to sync; an empty list means none."""
    who = editor()
    chosen = list(dict.fromkeys(body.channels))
    with services().db.transaction(who.tenant_id) as session:
        provider = find_provider(services().providers, "slack")
        change_setting(session, who.tenant_id, provider, "channels", chosen)
    noun = "channel" if len(chosen) == 1 else "channels"
    return answer(ChannelsChosen(message=f"{len(chosen)} {noun} chosen.", channels=chosen))


@api.get("/github/repositories", responses={200: Repositories})
def get_repositories() -> Response:
    """GitHub's repositories that the account can see; selected are those that are synced."""
    repositories = [
        Repository(
            id=c.id,
            full_name=c.name,
            selected=c.is_chosen,
            is_private=bool(c.details.get("is_private")),
            description=_text(c.details.get("description")),
            url=_text(c.details.get("html_url")),
        )
        for c in _choices("github")
    ]
    chosen = sum(r.selected for r in repositories)
    return answer(Repositories(repositories=repositories, total=len(repositories), selected_count=chosen))


def _choices(connector_type: str) -> list[Choice]:
    # Not for viewers: it is asked with the account of whoever connected the source, and shows what is not synced.
    who = editor()
    s = services()
    chooser = Chooser(
        s.db,
        CredentialKeeper(s.db, s.keyring, s.oauth_providers),
        s.api_bases,
        s.settings.allow_private_addresses,
    )
    return chooser.list_choices(who.tenant_id, find_provider(s.providers, connector_type))


def _text(value: object) -> str | None:
    return None if value is None else str(value)
