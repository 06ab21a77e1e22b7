"""A process that claims a component and never finishes: `python -m tests.components.builder_process URL TENANT SECONDS`.

Prints `building` once it has the claim, which lasts for so many seconds.
"""

import sys
from datetime import timedelta
from uuid import UUID

from backend.components.cache import ComponentCache, Value
from backend.db.engine import create_engine
from backend.db.listen import Listener
from backend.db.notify import Notifier
from backend.db.transaction import Database


def build(_previous: Value | None) -> Value:
    sys.stdout.write("building\n")
    sys.stdout.flush()
    sys.stdin.read()
    return {"build": "of a process that was killed"}


def main(url: str, tenant_id: str, seconds: str) -> None:
    db = Database(create_engine(url, pool_size=2, application_name="builder"), Notifier(url))
    cache = ComponentCache(db, Listener(url), capacity=10**6, lease=timedelta(seconds=float(seconds)))
    cache.get_or_build(UUID(tenant_id), "sample", build, lifetime=timedelta(days=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
