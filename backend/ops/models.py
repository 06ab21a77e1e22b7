"""instances."""

from sqlalchemy import BigInteger, CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from backend.db.base import Base, CreatedAt, Json, Key, Moment, Words


class Instance(Base):
    __tablename__ = "instances"
    __table_args__ = (
        CheckConstraint("kind IN ('web', 'worker')", name="kind_is_known"),
        {
            "comment": "Web and worker processes, for people to look at; nothing is decided by it",
            # Room on the page for heartbeats; no index holds what they change.
            "postgresql_with": {"fillfactor": 70},
        },
    )

    id: Mapped[Key]
    name: Mapped[Words] = mapped_column(comment="Instance name of the process")
    kind: Mapped[Words] = mapped_column(comment="web or worker")
    version: Mapped[Words] = mapped_column(comment="Version of the product it runs")
    host: Mapped[Words] = mapped_column(comment="Name of its machine")
    pid: Mapped[int] = mapped_column(comment="Its process id on that machine")
    config_revision: Mapped[int | None] = mapped_column(
        BigInteger, comment="Newest change of a config that it has applied; none while it cannot follow"
    )
    cache_lookups: Mapped[Json] = mapped_column(
        server_default="{}",
        comment="Of each of its caches: how often a look-up ended in which way since the process began",
    )
    started_at: Mapped[CreatedAt] = mapped_column(comment="When the process registered")
    heartbeat_at: Mapped[CreatedAt] = mapped_column(comment="When it last said that it lives")
    stopped_at: Mapped[Moment | None] = mapped_column(comment="When it said goodbye; never, if it was killed")
