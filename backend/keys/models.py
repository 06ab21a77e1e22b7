"""signing_keys."""

from sqlalchemy import CheckConstraint, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from backend.db.base import Base, CreatedAt, Moment, Words


class SigningKey(Base):
    __tablename__ = "signing_keys"
    __table_args__ = (
        CheckConstraint("(retires_at IS NULL) = (retired_because IS NULL)", name="retired_with_a_reason"),
        CheckConstraint("retired_because IN ('rotated', 'compromised')", name="reason_is_known"),
        {"comment": "Keys that sign tokens, states and names of streams, sealed with SECRET_KEYS"},
    )

    kid: Mapped[Words] = mapped_column(primary_key=True, comment="Its id, carried by what it signed")
    sealed: Mapped[bytes] = mapped_column(
        LargeBinary, comment="32 bytes, sealed for this row with SECRET_KEYS"
    )
    created_at: Mapped[CreatedAt]
    active_from: Mapped[Moment] = mapped_column(comment="When it begins to sign; published before")
    retires_at: Mapped[Moment | None] = mapped_column(
        comment="When what it signed stops counting; none while it is the newest"
    )
    retired_because: Mapped[Words | None] = mapped_column(comment="rotated or compromised")
    follows_master: Mapped[bool] = mapped_column(
        comment="The first key: while it is accepted, so is what SECRET_KEYS itself has signed"
    )
    made_by: Mapped[Words] = mapped_column(comment="Who rotated: first use, maintenance, or a person where")
