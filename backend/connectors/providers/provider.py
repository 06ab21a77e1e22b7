"""What the product knows of a provider: how it presents itself, connects, is configured and read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib import import_module
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

from backend.connectors.providers.contract import Credentials, OAuthProvider, Opening, Source

#: oauth: by the provider's consent page; config: needs no account, only to be told what to read.
AuthType: TypeAlias = Literal["oauth", "config"]


class SourceSettings(BaseModel):
    """What to sync from a connector; each provider has its own. Never a secret. Every field has a default unless
    nothing can be read without it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


SettingsModel: TypeAlias = type[SourceSettings]


@dataclass(frozen=True, slots=True)
class OAuthApp:
    """How this installation is registered at a provider."""

    client_id: str
    client_secret: str = field(repr=False)
    authorize_base: str | None = None
    """Origin in place of the provider's own for its OAuth pages and tokens: a company's own server, or a test."""
    api_base: str | None = None
    """The same for its API."""
    directory: str = "common"
    """Microsoft's directory (tenant) that people sign in to."""
    with_sites: bool = False
    """Whether people are asked for SharePoint as well as for their OneDrive."""


@dataclass(frozen=True, slots=True)
class Provider:
    """One kind of source. Light to import: web processes import all of them."""

    type: str
    """Name of the folder, and `type` of the connectors."""
    name: str
    description: str
    icon: str
    auth_type: AuthType
    settings_model: SettingsModel
    source: str
    """`package.module:function` that takes an `Opening` and makes a `Source`; imported by workers, when needed."""
    api_base: str
    """Origin of the provider's API when no other one is set; empty where there is none."""
    source_type: str = ""
    """What clients group its documents by, where that is another word than `type`: `email`."""
    app: str | None = None
    """Which OAuth app it uses: github, google, slack, box or microsoft; several providers may share one."""
    make_oauth: Callable[[OAuthApp], OAuthProvider] | None = None
    choices: str | None = None
    """`package.module:function` that takes an `Opening` and lists what there is to choose from (`Choice`), if a
    person should choose: channels, repositories, folders. Imported when needed, by web processes too."""
    accepts_token: str | None = None
    """`package.module:function` that takes (token as pasted by a person, api_base) and returns (Credentials, Account),
    where the provider has such tokens. Raises ProviderRefused with the reason. Imported when needed."""
    webhook: str | None = None
    """`package.module:function` that takes a `Delivery` and returns a `Notice`, where the provider sends any. Raises a
    `Forbidden` when it is not genuine, an `Invalid` when it is not understood. Imported when needed, by web processes."""
    open_channel: str | None = None
    """`package.module:function` that takes (`Opening`, channel id, address, token) and has the provider call that
    address, returning an `OpenChannel`, where calls come over channels that end. Needs `webhook`."""
    close_channel: str | None = None
    """`package.module:function` that takes (`Opening`, channel id, `OpenChannel.resource`) and ends it."""
    webhook_is_apps: bool = False
    """Whether its calls come for the whole app, signed with the app's own secret, which is a setting; else each
    connector has its own address and secret."""
    secret: str | None = None
    """The one field of `configure` that is a secret, for a provider that is configured rather than signed in to. It is
    no setting: a source finds it as its credentials' `access_token`, if it was given."""
    where_to_end_access: str = ""
    """Where a person ends the access, in a sentence, if the provider does not let us end it."""

    def open_source(self, opening: Opening) -> Source:
        """What reads a connector."""
        source: Source = load(self.source)(opening)
        return source


@dataclass(frozen=True, slots=True)
class Choice:
    """Something a person may choose to sync."""

    id: str
    name: str
    is_chosen: bool
    details: Mapping[str, str | int | bool | None]
    """What helps to choose, under the provider's own names: `is_private`, `num_members`, …"""


@dataclass(frozen=True, slots=True)
class OpenChannel:
    """A channel over which a provider calls."""

    resource: str
    """The provider's name for what is watched."""
    expires_at: datetime
    """Aware; when it ends by itself."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A webhook call as it arrived, and the secret it must be signed with."""

    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes = field(repr=False)
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Notice:
    """What a genuine webhook call says."""

    delivery_id: str
    """The same when the provider sends it again."""
    is_change: bool
    """Whether something may have changed that a sync would see."""
    account_ids: tuple[str, ...] = ()
    """Which connected accounts it concerns (`Account.external_id`), for calls that come for all connectors of the app
    to one address; a call to a connector's own address concerns that one."""
    answer: Mapping[str, Any] | None = None
    """What to answer instead of nothing, such as a challenge."""


def open_with(
    provider: Provider,
    settings: Mapping[str, Any],
    credentials: Credentials | None,
    *,
    api_base: str | None = None,
    allow_private_addresses: bool = False,
) -> Source:
    """A source of `provider`. Raises ValueError when the settings are not, or no longer, valid."""
    validated = provider.settings_model.model_validate(settings).model_dump()
    base = (api_base or provider.api_base).rstrip("/")
    return provider.open_source(Opening(validated, credentials, base, allow_private_addresses))


def load(name: str) -> Callable[..., Any]:
    """The function that `package.module:function` names, one of a provider's fields."""
    module, _, function = name.partition(":")
    loaded: Callable[..., Any] = getattr(import_module(module), function)
    return loaded
