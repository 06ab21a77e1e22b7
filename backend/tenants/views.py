"""What /api/auth takes and shows."""

import unicodedata
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, field_validator
from pydantic_core import PydanticCustomError

from backend.tenants.models import Session, Tenant, User

#: Marks that turn the direction of the text after them: a name must not rearrange the page that shows it.
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def _showable(name: str) -> str:
    if any(unicodedata.category(character) == "Cc" or character in _TURNING for character in name):
        raise PydanticCustomError("showable", "must not contain control characters")
    return unicodedata.normalize("NFC", name)


Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=2, max_length=255), AfterValidator(_showable)
]


class SignUp(BaseModel):
    """Who signs up; the workspace is made with them."""

    model_config = ConfigDict(json_schema_extra={"example": {"email": "ada@example.org", "full_name": "Ada"}})

    email: str = Field(max_length=320)
    password: str
    full_name: Name
    organization_name: Name | None = Field(None, description="Left out or empty: named after the person")

    @field_validator("organization_name", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return None if isinstance(value, str) and not value.strip() else value


class LogIn(BaseModel):
    email: str = Field(max_length=320)
    password: str


class SignInQuery(BaseModel):
    next: str = Field("", max_length=1000, description="Address of the document to go on to")


class Refresh(BaseModel):
    refresh_token: str = Field(max_length=200)


class UserView(BaseModel):
    """A person, as existing clients expect it; fields this installation does not keep are null."""

    id: str
    tenant_id: str
    email: str
    full_name: str
    role: str
    is_active: bool
    created_at: str
    updated_at: str
    email_verified: bool = False
    mfa_enabled: bool = False
    preferences: dict[str, Any] = Field(default_factory=dict)
    avatar_url: str | None = None
    bio: str | None = None
    phone: str | None = None
    job_title: str | None = None
    department: str | None = None
    location: str | None = None
    timezone: str | None = None
    language: str | None = None
    date_format: str | None = None
    time_format: str | None = None

    @classmethod
    def of(cls, user: User) -> "UserView":
        return cls(
            id=str(user.id),
            tenant_id=str(user.tenant_id),
            email=user.email,
            full_name=user.full_name,
            role=user.role,
            is_active=user.is_active,
            created_at=user.created_at.isoformat(),
            updated_at=user.updated_at.isoformat(),
        )


class TenantView(BaseModel):
    """A workspace, as existing clients expect it."""

    id: str
    name: str
    slug: str
    plan: str
    is_active: bool
    created_at: str
    storage_used_bytes: int | None = None
    storage_limit_bytes: int | None = None

    @classmethod
    def of(cls, tenant: Tenant) -> "TenantView":
        return cls(
            id=str(tenant.id),
            name=tenant.name,
            slug=tenant.slug,
            plan=tenant.plan,
            is_active=tenant.is_active,
            created_at=tenant.created_at.isoformat(),
        )


class Tokens(BaseModel):
    access_token: str
    refresh_token: str
    token_type: str = "Bearer"  # noqa: S105 - the scheme's name, not a secret
    expires_in: int = Field(description="Life of the access token, in seconds")


class SessionPath(BaseModel):
    session_id: UUID


class SessionView(BaseModel):
    id: str
    device_info: str | None
    ip_address: str | None
    location: str | None = None
    created_at: str
    last_used_at: str
    is_current: bool

    @classmethod
    def of(cls, row: Session, current: UUID) -> "SessionView":
        return cls(
            id=str(row.id),
            device_info=row.user_agent,
            ip_address=None if row.ip_address is None else str(row.ip_address),
            created_at=row.created_at.isoformat(),
            last_used_at=row.last_used_at.isoformat(),
            is_current=row.id == current,
        )
