"""Makes, changes and ends the schedule of a source."""

from datetime import timedelta
from typing import Final

from backend.connectors.models import Connector
from backend.db.transaction import Session
from backend.flows.list_sources.flow import schedule_name
from backend.flows.sync_connector.begin import BEGIN_KIND
from backend.jobs.models import Schedule
from backend.jobs.schedules.repository import ScheduleRepository

DEFAULT_EVERY: Final = timedelta(hours=1)
#: By how much of its interval a turn may be late, so that what was connected together is not synced together.
_JITTER: Final = 0.1


def plan(session: Session, connector: Connector) -> Schedule:
    """The source's schedule; one for every hour if it has none yet."""
    found = ScheduleRepository(session).find(connector.tenant_id, schedule_name(connector.type))
    return found or set_interval(session, connector, DEFAULT_EVERY)


def set_interval(session: Session, connector: Connector, every: timedelta) -> Schedule:
    """The source is synced every `every`; a paused schedule stays paused."""
    return ScheduleRepository(session).put(
        connector.tenant_id,
        schedule_name(connector.type),
        kind=BEGIN_KIND,
        args={"connector_id": str(connector.id), "trigger": "schedule"},
        every=every,
        jitter=_JITTER,
    )


def set_paused(session: Session, connector: Connector, is_paused: bool) -> Schedule:
    """No turns until it is resumed; or turns again, one at once if one was missed."""
    plan(session, connector)
    schedules, name = ScheduleRepository(session), schedule_name(connector.type)
    if is_paused:
        schedules.pause(connector.tenant_id, name)
    else:
        schedules.resume(connector.tenant_id, name)
    session.expire_all()
    return plan(session, connector)


def end(session: Session, connector: Connector) -> None:
    """No more turns."""
    ScheduleRepository(session).delete(connector.tenant_id, schedule_name(connector.type))
