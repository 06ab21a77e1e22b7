"""Deactivate and activate users and tenants; list the users there are."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session as DbSession

from backend.db.notify import Channel
from backend.db.transaction import hint
from backend.errors import Conflict, NotFound
from backend.tenants.models import Session, Tenant, User

REASON = "deactivated"


class UserNotFound(NotFound):
    """There is no such person in this workspace."""


class LastAdministrator(Conflict):
    """A workspace needs an administrator who may sign in: this is the last one."""


class DeactivationRepository:
    """Who may come in, within a transaction of the tenant."""

    def __init__(self, session: DbSession) -> None:
        self._session = session

    def list_users(self, tenant_id: UUID) -> Sequence[User]:
        """Everybody of the tenant, by address."""
        return self._session.scalars(
            select(User).where(User.tenant_id == tenant_id).order_by(User.email)
        ).all()

    def deactivate_user(self, tenant_id: UUID, user_id: UUID, *, even_the_last: bool = False) -> User:
        """Nothing this person holds counts from the commit on; their sessions end. Again, and nothing changes.

        Raises:
            UserNotFound: nobody of this tenant.
            LastAdministrator: nobody could undo it from inside, unless that is wanted (`even_the_last`).
        """
        # Two administrators who deactivate each other do it one after the other.
        self._session.execute(select(Tenant.id).where(Tenant.id == tenant_id).with_for_update(key_share=True))
        user = self._set_user(tenant_id, user_id, func.coalesce(User.deactivated_at, func.now()))
        if not even_the_last and not self._has_administrator(tenant_id):
            raise LastAdministrator
        self._end_sessions(tenant_id, user_id)
        return user

    def activate_user(self, tenant_id: UUID, user_id: UUID) -> User:
        """May sign in again. Raises UserNotFound."""
        return self._set_user(tenant_id, user_id, None)

    def deactivate_tenant(self, tenant_id: UUID) -> None:
        """Nobody of it may come in from the commit on; all sessions end."""
        self._session.execute(
            update(Tenant)
            .where(Tenant.id == tenant_id)
            .values(deactivated_at=func.coalesce(Tenant.deactivated_at, func.now()))
        )
        self._end_sessions(tenant_id)

    def activate_tenant(self, tenant_id: UUID) -> None:
        """Its active people may sign in again."""
        self._session.execute(update(Tenant).where(Tenant.id == tenant_id).values(deactivated_at=None))

    def _set_user(self, tenant_id: UUID, user_id: UUID, deactivated_at: object) -> User:
        user: User | None = self._session.scalar(
            update(User)
            .where(User.tenant_id == tenant_id, User.id == user_id)
            .values(deactivated_at=deactivated_at, updated_at=func.now())
            .returning(User),
            execution_options={"populate_existing": True},
        )
        if user is None:
            raise UserNotFound
        return user

    def _has_administrator(self, tenant_id: UUID) -> bool:
        found = self._session.scalar(
            select(User.id)
            .where(User.tenant_id == tenant_id, User.role == "admin", User.deactivated_at.is_(None))
            .limit(1)
        )
        return found is not None

    def _end_sessions(self, tenant_id: UUID, user_id: UUID | None = None) -> None:
        ended = update(Session).where(Session.tenant_id == tenant_id, Session.ended_at.is_(None))
        if user_id is not None:
            ended = ended.where(Session.user_id == user_id)
        ids = self._session.scalars(
            ended.values(ended_at=func.now(), end_reason=REASON).returning(Session.id)
        ).all()
        for session_id in ids:
            hint(self._session, Channel.SESSIONS, tenant_id, session_id)
