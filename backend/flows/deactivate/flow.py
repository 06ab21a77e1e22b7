"""What deactivation means in the rooms besides: pending attempts to connect, and running jobs."""

from uuid import UUID

from backend.db.transaction import Session
from backend.flows.upload_documents.flow import JOB_KIND, OLD_JOB_KIND
from backend.jobs.repository import JobRepository
from backend.oauth.repository import OAuthNonceRepository
from backend.tenants.deactivation.repository import DeactivationRepository
from backend.tenants.models import User


def deactivate_user(session: Session, tenant_id: UUID, user_id: UUID, *, even_the_last: bool = False) -> User:
    """Ends the person's sessions and attempts to connect a source; their API keys are void while it lasts.

    What they connected and the syncs of it are the workspace's and go on. Raises UserNotFound, LastAdministrator.
    """
    user = DeactivationRepository(session).deactivate_user(tenant_id, user_id, even_the_last=even_the_last)
    OAuthNonceRepository(session).void(tenant_id, user_id=user_id)
    return user


def deactivate_tenant(session: Session, tenant_id: UUID) -> None:
    """The same for everybody of the workspace; running jobs are asked to stop, waiting ones and schedules wait.

    What reads files that were handed in ends by itself in a moment. Asked to stop, it would give up on them if its worker
    ended, and there is nobody to hand them in again.
    """
    DeactivationRepository(session).deactivate_tenant(tenant_id)
    OAuthNonceRepository(session).void(tenant_id)
    JobRepository(session).stop_all(tenant_id, but=(JOB_KIND, OLD_JOB_KIND))
