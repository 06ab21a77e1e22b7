"""/api/admin/users: who is in the workspace, and who may not come in any more."""

from uuid import UUID

from flask import Response
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel

from backend.flows.deactivate.flow import deactivate_user
from backend.tenants.deactivation.repository import DeactivationRepository
from backend.tenants.views import UserView
from backend.web import Answer, administrator, answer, services

api = APIBlueprint(
    "admin_users",
    __name__,
    url_prefix="/api/admin/users",
    abp_tags=[Tag(name="admin", description="What administrators do")],
)


class UserPath(BaseModel):
    user_id: UUID


class Users(Answer):
    users: list[UserView]


class OneUser(Answer):
    user: UserView


@api.get("", responses={200: Users})
def list_users() -> Response:
    """Everybody of the workspace, also those who may not sign in."""
    who = administrator()
    with services().db.transaction(who.tenant_id) as session:
        rows = DeactivationRepository(session).list_users(who.tenant_id)
    return answer(Users(users=[UserView.of(row) for row in rows]))


@api.post("/<user_id>/deactivate", responses={200: OneUser})
def deactivate(path: UserPath) -> Response:
    """End what a person holds, on every instance: sessions, API keys, attempts to connect a source."""
    who = administrator()
    with services().db.transaction(who.tenant_id) as session:
        user = deactivate_user(session, who.tenant_id, path.user_id)
    return answer(OneUser(user=UserView.of(user)))


@api.post("/<user_id>/activate", responses={200: OneUser})
def activate(path: UserPath) -> Response:
    """Let a person sign in again; their API keys count again, their sessions do not."""
    who = administrator()
    with services().db.transaction(who.tenant_id) as session:
        user = DeactivationRepository(session).activate_user(who.tenant_id, path.user_id)
    return answer(OneUser(user=UserView.of(user)))
