"""/api/auth/api-keys: make, list, revoke."""

from datetime import timedelta
from typing import Annotated, Literal
from uuid import UUID

from flask import Response
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field

from backend.marks import session_only
from backend.tenants.access import Principal
from backend.tenants.api_keys.repository import ApiKeyRepository, key_prefix
from backend.tenants.models import ApiKey
from backend.tenants.views import Name
from backend.web import Answer, answer, principal, services

api = APIBlueprint(
    "api_keys",
    __name__,
    abp_tags=[Tag(name="api keys", description="Keys with which programs act for a user")],
)

Scope = Literal["read", "write", "admin"]


class NewApiKey(BaseModel):
    name: Annotated[Name, Field(max_length=100, description="What it is for")]
    scopes: set[Scope] = Field(
        default={"read"},
        min_length=1,
        description="read, write (changes), admin (what only administrators may)",
    )
    expires_in_days: int | None = Field(None, ge=1, le=3650, description="Left out: until it is revoked")


class ApiKeyPath(BaseModel):
    key_id: UUID


class Listing(BaseModel):
    everybody: bool = Field(False, description="Of the whole workspace; for administrators")


class ApiKeyView(BaseModel):
    """A key without what makes it one."""

    id: str
    prefix: str = Field(description="How the key begins")
    name: str
    scopes: list[str]
    user_id: str
    email: str = Field(description="Whose key it is")
    created_at: str
    last_used_at: str | None = Field(description="To about five minutes")
    expires_at: str | None
    revoked_at: str | None

    @classmethod
    def of(cls, key: ApiKey, email: str) -> "ApiKeyView":
        last_used, expires, revoked = (
            None if moment is None else moment.isoformat()
            for moment in (key.last_used_at, key.expires_at, key.revoked_at)
        )
        return cls(
            id=str(key.id),
            prefix=key_prefix(key.id),
            name=key.name,
            scopes=key.scopes,
            user_id=str(key.user_id),
            email=email,
            created_at=key.created_at.isoformat(),
            last_used_at=last_used,
            expires_at=expires,
            revoked_at=revoked,
        )


class ApiKeyMade(Answer):
    key: str = Field(description="The key itself: shown now and never again")
    api_key: ApiKeyView


class ApiKeys(Answer):
    api_keys: list[ApiKeyView]


@api.post("/api/auth/api-keys", responses={201: ApiKeyMade})
@session_only
def create_api_key(body: NewApiKey) -> Response:
    """Make a key for a program. It can do no more than its maker, and less if so wanted."""
    who = principal()
    lifetime = None if body.expires_in_days is None else timedelta(days=body.expires_in_days)
    with services().db.transaction(who.tenant_id) as session:
        key, token = ApiKeyRepository(session).create(
            who.user, name=body.name, scopes=body.scopes, lifetime=lifetime
        )
    return answer(ApiKeyMade(key=token, api_key=ApiKeyView.of(key, who.user.email)), 201)


@api.get("/api/auth/api-keys", responses={200: ApiKeys})
@session_only
def list_api_keys(query: Listing) -> Response:
    """One's own keys, revoked and expired ones too; an administrator may see everybody's."""
    who = principal()
    with services().db.transaction(who.tenant_id) as session:
        rows = ApiKeyRepository(session).list_of(
            who.tenant_id, None if query.everybody and who.is_admin else who.user_id
        )
    return answer(ApiKeys(api_keys=[ApiKeyView.of(key, email) for key, email in rows]))


@api.delete("/api/auth/api-keys/<key_id>", responses={200: Answer})
@session_only
def revoke_api_key(path: ApiKeyPath) -> Response:
    """End a key on every instance, from the next request on: one's own, or as an administrator anybody's."""
    who = principal()
    with services().db.transaction(who.tenant_id) as session:
        ApiKeyRepository(session).revoke(who.tenant_id, path.key_id, user_id=_owner(who))
    return answer(Answer())


def _owner(who: Principal) -> UUID | None:
    return None if who.is_admin else who.user_id
