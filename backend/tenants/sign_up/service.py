"""Make a workspace and its first user."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from email_validator import EmailNotValidError

from backend.db.transaction import Database, Session
from backend.tenants.access import InvalidEmail, normalized_email
from backend.tenants.models import Tenant, User
from backend.tenants.passwords import Passwords, check_strength
from backend.tenants.repository import TenantRepository
from backend.tenants.views import SignUp


@contextmanager
def new_account(db: Database, passwords: Passwords, body: SignUp) -> Iterator[tuple[Session, User, Tenant]]:
    """The transaction that makes the workspace and the person, who administers it; what is done in it holds with them.

    Raises InvalidEmail, WeakPassword, EmailExists.
    """
    try:
        email = normalized_email(body.email)
    except EmailNotValidError as error:
        raise InvalidEmail(str(error)) from error
    check_strength(body.password, email=email)
    password_hash = passwords.hash(body.password)
    # Chosen here because row level security must know the tenant before its row can be written.
    tenant_id = uuid4()
    with db.transaction(tenant_id) as session:
        repository = TenantRepository(session)
        tenant = repository.create_tenant(
            tenant_id, name=body.organization_name or f"{body.full_name}'s Organization"
        )
        user = repository.create_user(
            tenant_id, email=email, full_name=body.full_name, role="admin", password_hash=password_hash
        )
        yield session, user, tenant
