"""What every table has in common: naming of constraints, column types used by many, one metadata."""

from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Any
from uuid import UUID

from sqlalchemy import DateTime, ForeignKey, LargeBinary, MetaData, Text, Uuid, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, mapped_column

#: Constraint names say what the rule is; errors are translated by these names.
NAMING_CONVENTION = MappingProxyType(
    {
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

TenantKey = Annotated[
    UUID,
    mapped_column(
        Uuid, ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True, comment="Whose row this is"
    ),
]
Key = Annotated[
    UUID,
    mapped_column(
        Uuid, primary_key=True, server_default=text("uuidv7()"), comment="Identity, ordered by creation"
    ),
]
CreatedAt = Annotated[
    datetime,
    mapped_column(DateTime(timezone=True), server_default=func.now(), comment="When the row was written"),
]
Moment = Annotated[datetime, mapped_column(DateTime(timezone=True))]
Sha256 = Annotated[bytes, mapped_column(LargeBinary)]
Words = Annotated[str, mapped_column(Text)]
Json = Annotated[dict[str, Any], mapped_column(JSONB)]


class Base(DeclarativeBase):
    """Parent of every model; `Base.metadata` is what migrations are compared with."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
