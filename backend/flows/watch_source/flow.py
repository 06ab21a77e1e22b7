"""Whether a provider can call here, and the schedule by which its channel is looked after."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

import structlog

from backend.connectors.models import Connector, WatchChannel
from backend.connectors.providers.contract import Opening
from backend.connectors.providers.provider import Provider, load
from backend.db.transaction import Session
from backend.errors import StateError
from backend.jobs.schedules.repository import ScheduleRepository

_log = structlog.get_logger(__name__)

#: Jobs of this kind have `connector_id`.
WATCH_KIND: Final = "watch_source"
#: How often it is looked whether a channel is to be renewed.
EVERY: Final = timedelta(hours=12)
#: One that ends sooner than this is renewed: several turns may fail before it is too late.
RENEWED_BEFORE: Final = timedelta(days=2)
_JITTER: Final = 0.1


def watched_types(providers: Mapping[str, Provider], public_url: str) -> frozenset[str]:
    """Types of connectors that get a channel on this installation."""
    if not can_be_called(public_url):
        return frozenset()
    return frozenset(provider.type for provider in providers.values() if provider.open_channel)


def can_be_called(public_url: str) -> bool:
    """Whether it is an address that a provider on the internet may reach, with the https that it insists on."""
    parts = urlsplit(public_url)
    host = (parts.hostname or "").rstrip(".")
    if parts.scheme != "https" or ("." not in host and ":" not in host):
        return False
    try:
        return ip_address(host).is_global
    except ValueError:
        return not host.endswith((".localhost", ".local", ".internal", ".test", ".invalid"))


def watch(session: Session, connector: Connector, watched: Iterable[str], *, anew: bool = False) -> None:
    """Has the connector's channel looked after, from now on, if it is one of the `watched` types; `anew`: at once,
    since the connection is another one."""
    if connector.type not in watched:
        return
    schedules, name = ScheduleRepository(session), _name(connector)
    if anew or schedules.find(connector.tenant_id, name) is None:
        schedules.put(
            connector.tenant_id,
            name,
            kind=WATCH_KIND,
            args={"connector_id": str(connector.id)},
            every=EVERY,
            jitter=_JITTER,
            starts_in=timedelta(0),
        )


def unwatch(session: Session, connector: Connector) -> None:
    """Nobody looks after it any more."""
    ScheduleRepository(session).delete(connector.tenant_id, _name(connector))


def end_channel(provider: Provider, opening: Opening, channel: WatchChannel) -> None:
    """Has the provider call no more, if it will hear of it; otherwise the channel ends by itself, and until then its
    calls lead to nothing."""
    if not provider.close_channel or channel.channel_id is None:
        return
    try:
        load(provider.close_channel)(opening, channel.channel_id, channel.resource)
    except StateError as error:
        _log.info("a channel is left to end by itself", type=provider.type, error=error.error_code)


def _name(connector: Connector) -> str:
    return f"watch:{connector.type}"
