"""Settings of one process, read from the environment once and frozen. The only reader of `os.environ`.

Settings are what must be known before the database is reached (where it is, which keys unseal it) or what
differs between machines. What should change while processes run is a versioned row, not a setting.
"""

import base64
import binascii
import re
import secrets
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

_LIMIT = re.compile(r"(?P<name>[a-z_]+)=(?:off|(?P<count>[1-9]\d{0,8})/(?P<seconds>[1-9]\d{0,8}))")


class Settings(BaseSettings):
    """Every environment variable the product reads, with its default and its meaning.

    Raises `pydantic.ValidationError` when a value is missing or malformed; nothing starts half-configured.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    data_dir: Path = Field(Path(".data"), alias="SECONDBRAIN_DATA_DIR")
    """Where the bundled Postgres and the generated keys live (`scripts/up`); unused with your own server."""

    database_url: SecretStr = Field(SecretStr(""), alias="DATABASE_URL")
    """libpq URL the web and worker processes connect with: a login that is a member of `secondbrain_app`."""

    database_owner_url: SecretStr = Field(SecretStr(""), alias="DATABASE_OWNER_URL")
    """libpq URL migrations run with; defaults to DATABASE_URL (which may then be an administrator's)."""

    database_direct_url: SecretStr = Field(SecretStr(""), alias="DATABASE_DIRECT_URL")
    """libpq URL for LISTEN when DATABASE_URL goes through a transaction-mode pooler; defaults to it."""

    database_pool_size: int = Field(10, alias="DATABASE_POOL_SIZE", ge=1, le=200)
    """Connections one process may hold for its transactions."""

    secret_keys: Annotated[tuple[tuple[str, SecretStr], ...], NoDecode] = Field((), alias="SECRET_KEYS")
    """`kid:base64` master keys of 32 bytes, comma separated; the first one seals, all of them open: credentials, and
    the keys in the database that sign. To rotate, put a new one in front and restart; what an old one sealed needs it
    until it is sealed again."""

    signing_key_days: int = Field(90, alias="SIGNING_KEY_DAYS", ge=0, le=3650)
    """After so many days a new key signs tokens and states; 0 leaves rotation to `secondbrain keys rotate`."""

    public_url: str = Field("http://localhost:5003", alias="PUBLIC_URL")
    """Origin under which browsers reach the API; providers redirect back to it. Follows PORT unless it is set."""

    frontend_url: str = Field("http://localhost:3000", alias="FRONTEND_URL")
    """Origin of the web client; OAuth callbacks end there."""

    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        ("http://localhost:3000", "http://localhost:3006"), alias="CORS_ORIGINS"
    )
    """Origins that may call the API from a browser, comma separated; FRONTEND_URL is always one of them."""

    host: str = Field("127.0.0.1", alias="HOST")
    """Address the web server binds."""

    port: int = Field(5003, alias="PORT", ge=1, le=65535)
    """Port shared by all web instances of a machine (SO_REUSEPORT)."""

    instance_port: int | None = Field(None, alias="INSTANCE_PORT", ge=1, le=65535)
    """A second port of this instance's own, so that it can be addressed alone."""

    instance_name: str = Field("", alias="INSTANCE_NAME")
    """Name of this process in logs, metrics and `ops` views; defaults to host name and process id."""

    max_request_bytes: int = Field(32 * 1024 * 1024, alias="MAX_REQUEST_BYTES", ge=1024)
    """Largest accepted request body, in bytes; and the largest file, in the desk's form as well."""

    max_folder_bytes: int = Field(2 * 1024**3, alias="MAX_FOLDER_BYTES", ge=1024)
    """Bytes of the files that the desk's form takes at once. They are stored as they come, a few at a time in memory."""

    trusted_proxies: int = Field(0, alias="TRUSTED_PROXIES", ge=0, le=10)
    """How many proxies in front each add the caller's address to X-Forwarded-For; 0 believes no such header."""

    rate_limits: Annotated[tuple[tuple[str, int, int], ...], NoDecode] = Field((), alias="RATE_LIMITS")
    """Changed limits, as `name=count/seconds`, comma separated; `name=off` lifts one. The names and their defaults
    are in `backend/limits/rules.py`."""

    idempotency_lease_seconds: int = Field(120, alias="IDEMPOTENCY_LEASE_SECONDS", ge=1, le=3600)
    """How long a request with an Idempotency-Key may take before a repeat no longer waits for it: longer than any
    answer takes, and as long as a repeat has to wait after a crash."""

    idempotency_keep_seconds: int = Field(86400, alias="IDEMPOTENCY_KEEP_SECONDS", ge=60, le=604800)
    """How long an answer is repeated for its Idempotency-Key."""

    access_token_seconds: int = Field(12 * 3600, alias="ACCESS_TOKEN_SECONDS", ge=60)
    """Life of an access token; existing clients never refresh, so it is as long as a working day."""

    refresh_token_seconds: int = Field(30 * 86400, alias="REFRESH_TOKEN_SECONDS", ge=3600)
    """Life of a refresh token since its last rotation."""

    oauth_nonce_seconds: int = Field(600, alias="OAUTH_NONCE_SECONDS", ge=1, le=3600)
    """How long somebody may take at the provider's consent page."""

    github_client_id: str = Field("", alias="GITHUB_CLIENT_ID")
    """Client id of the GitHub OAuth app; empty means the connector is not configured."""

    github_client_secret: SecretStr = Field(SecretStr(""), alias="GITHUB_CLIENT_SECRET")
    """Client secret of the GitHub OAuth app."""

    github_redirect_uri: str = Field("", alias="GITHUB_REDIRECT_URI")
    """Callback registered at GitHub; defaults to PUBLIC_URL/api/integrations/github/callback."""

    github_authorize_base: str = Field("https://github.com", alias="GITHUB_AUTHORIZE_BASE")
    """Origin of GitHub's OAuth pages; another one for GitHub Enterprise."""

    github_api_base: str = Field("https://api.github.com", alias="GITHUB_API_BASE")
    """Base of GitHub's REST API; another one for GitHub Enterprise."""

    google_client_id: str = Field("", alias="GOOGLE_CLIENT_ID")
    """Client id of the app registered at Google; empty means that Gmail and Google Drive cannot be connected."""

    google_client_secret: SecretStr = Field(SecretStr(""), alias="GOOGLE_CLIENT_SECRET")
    """Client secret of the app registered at Google."""

    google_redirect_uri: str = Field("", alias="GOOGLE_REDIRECT_URI")
    """Gmail's callback registered at Google; defaults to PUBLIC_URL/api/integrations/gmail/callback."""

    slack_client_id: str = Field("", alias="SLACK_CLIENT_ID")
    """Client id of the app registered at Slack; empty means that Slack cannot be connected."""

    slack_client_secret: SecretStr = Field(SecretStr(""), alias="SLACK_CLIENT_SECRET")
    """Client secret of the app registered at Slack."""

    slack_redirect_uri: str = Field("", alias="SLACK_REDIRECT_URI")
    """Callback registered at Slack; defaults to PUBLIC_URL/api/integrations/slack/callback."""

    slack_signing_secret: SecretStr = Field(SecretStr(""), alias="SLACK_SIGNING_SECRET")
    """Signing secret of the Slack app, for the events it sends; empty means that none are accepted."""

    box_client_id: str = Field("", alias="BOX_CLIENT_ID")
    """Client id of the app registered at Box; empty means that Box cannot be connected."""

    box_client_secret: SecretStr = Field(SecretStr(""), alias="BOX_CLIENT_SECRET")
    """Client secret of the app registered at Box."""

    box_redirect_uri: str = Field("", alias="BOX_REDIRECT_URI")
    """Callback registered at Box; defaults to PUBLIC_URL/api/integrations/box/callback."""

    microsoft_client_id: str = Field("", alias="MICROSOFT_CLIENT_ID")
    """Client id of the app registered at Microsoft; empty means that OneDrive and SharePoint cannot be connected."""

    microsoft_client_secret: SecretStr = Field(SecretStr(""), alias="MICROSOFT_CLIENT_SECRET")
    """Client secret of the app registered at Microsoft."""

    microsoft_redirect_uri: str = Field("", alias="MICROSOFT_REDIRECT_URI")
    """Callback registered at Microsoft; defaults to PUBLIC_URL/api/integrations/onedrive/callback."""

    microsoft_tenant_id: str = Field("common", alias="MICROSOFT_TENANT_ID", pattern=r"^[A-Za-z0-9.-]{1,100}$")
    """Directory people sign in to at Microsoft: its id, `common` or `organizations`."""

    microsoft_sharepoint: bool = Field(False, alias="MICROSOFT_SHAREPOINT")
    """Whether people who connect OneDrive are asked for SharePoint's document libraries as well (Sites.Read.All)."""

    provider_addresses: Annotated[tuple[tuple[str, str], ...], NoDecode] = Field(
        (), alias="PROVIDER_ADDRESSES"
    )
    """Origins to use in place of a provider's own, `name=url` comma separated, for a gateway or a test. Names: google,
    slack, box, microsoft, pubmed. GitHub has GITHUB_AUTHORIZE_BASE and GITHUB_API_BASE."""

    allow_private_addresses: bool = Field(False, alias="ALLOW_PRIVATE_ADDRESSES")
    """Whether the web connector and uploads by URL may read from private networks, such as an intranet. Whoever may
    add a source then reaches whatever this server reaches."""

    embedding_base_url: str = Field("", alias="EMBEDDING_BASE_URL")
    """Base URL of an OpenAI-compatible server; empty means the local model, which needs no network."""

    embedding_model: str = Field("", alias="EMBEDDING_MODEL")
    """Model name at EMBEDDING_BASE_URL."""

    embedding_dimensions: int = Field(0, alias="EMBEDDING_DIMENSIONS", ge=0, le=4000)
    """Dimensions of EMBEDDING_MODEL's vectors; required with EMBEDDING_BASE_URL."""

    embedding_api_key: SecretStr = Field(SecretStr(""), alias="EMBEDDING_API_KEY")
    """Key sent to EMBEDDING_BASE_URL as a bearer token."""

    embedding_previous_base_url: str = Field("", alias="EMBEDDING_PREVIOUS_BASE_URL")
    """The server of the model configured before, which serves until everything is embedded by the new one."""

    embedding_previous_model: str = Field("", alias="EMBEDDING_PREVIOUS_MODEL")
    """Name of that model there."""

    embedding_previous_dimensions: int = Field(0, alias="EMBEDDING_PREVIOUS_DIMENSIONS", ge=0, le=4000)
    """Length of that model's vectors."""

    embedding_previous_api_key: SecretStr = Field(SecretStr(""), alias="EMBEDDING_PREVIOUS_API_KEY")
    """Sent to that server as a bearer token."""

    embedding_cache_seconds: int = Field(86400, alias="EMBEDDING_CACHE_SECONDS", ge=1)
    """How long a vector of EMBEDDING_BASE_URL is kept, so that the same text is not paid for twice."""

    embedding_cache_tenant_bytes: int = Field(256 * 1024 * 1024, alias="EMBEDDING_CACHE_TENANT_BYTES", ge=0)
    """Bytes of such vectors kept for one tenant; the oldest go first."""

    embedding_memory_bytes: int = Field(16 * 1024 * 1024, alias="EMBEDDING_MEMORY_BYTES", ge=0)
    """Bytes of such vectors one process keeps in memory as well, for ten minutes."""

    component_memory_bytes: int = Field(32 * 1024 * 1024, alias="COMPONENT_MEMORY_BYTES", ge=0)
    """Bytes of what is computed from workspaces' documents that one process keeps in memory, about."""

    llm_base_url: str = Field("", alias="LLM_BASE_URL")
    """Base URL of an OpenAI-compatible server that writes answers; empty means extractive answers."""

    llm_model: str = Field("", alias="LLM_MODEL")
    """Model name at LLM_BASE_URL."""

    llm_api_key: SecretStr = Field(SecretStr(""), alias="LLM_API_KEY")
    """Key sent to LLM_BASE_URL as a bearer token."""

    llm_classification: bool = Field(True, alias="LLM_CLASSIFICATION")
    """Whether LLM_BASE_URL is asked about new documents that the rules do not settle."""

    rerank_base_url: str = Field("", alias="RERANK_BASE_URL")
    """Base URL of a server whose `/rerank` orders what search found; empty means the search's own order."""

    rerank_model: str = Field("", alias="RERANK_MODEL")
    """Model name at RERANK_BASE_URL; some servers have only one."""

    rerank_api_key: SecretStr = Field(SecretStr(""), alias="RERANK_API_KEY")
    """Key sent to RERANK_BASE_URL as a bearer token."""

    worker_threads: int = Field(2, alias="WORKER_THREADS", ge=1, le=64)
    """Jobs one worker process runs at a time."""

    parser_processes: int = Field(0, alias="PARSER_PROCESSES", ge=0, le=64)
    """Processes one worker may start to read documents in; 0 means as many as WORKER_THREADS."""

    worker_metrics_port: int | None = Field(None, alias="WORKER_METRICS_PORT", ge=1, le=65535)
    """Port on which a worker answers /metrics and /health; unset means none."""

    lease_seconds: float = Field(30.0, alias="LEASE_SECONDS", ge=1, le=3600)
    """A worker silent for this long loses its jobs to another."""

    log_level: str = Field("info", alias="LOG_LEVEL", pattern="^(debug|info|warning|error)$")
    """Least severe log line that is written."""

    log_format: str = Field("json", alias="LOG_FORMAT", pattern="^(json|console)$")
    """`json` for machines, `console` for people."""

    @model_validator(mode="before")
    @classmethod
    def _public_url_follows_port(cls, values: Any) -> Any:
        if isinstance(values, dict) and not values.get("PUBLIC_URL"):
            return {**values, "PUBLIC_URL": f"http://localhost:{values.get('PORT') or 5003}"}
        return values

    @field_validator("secret_keys", mode="before")
    @classmethod
    def _split_keys(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(tuple(part.strip().split(":", 1)) for part in value.split(",") if part.strip())

    @field_validator("secret_keys")
    @classmethod
    def _check_keys(cls, value: tuple[tuple[str, SecretStr], ...]) -> tuple[tuple[str, SecretStr], ...]:
        for kid, key in value:
            try:
                raw = base64.b64decode(key.get_secret_value(), validate=True)
            except binascii.Error as error:
                raise ValueError(f"SECRET_KEYS: key {kid!r} is not base64") from error
            if len(raw) != 32:
                raise ValueError(f"SECRET_KEYS: key {kid!r} has {len(raw)} bytes, it must have 32")
        if len({kid for kid, _ in value}) != len(value):
            raise ValueError("SECRET_KEYS: two keys have the same id")
        return value

    @field_validator("provider_addresses", mode="before")
    @classmethod
    def _split_addresses(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = tuple(part.strip().rstrip("/").partition("=") for part in value.split(",") if part.strip())
        if not all(re.fullmatch(r"https?://[^/?#]+.*", url) for _, _, url in pairs):
            raise ValueError("PROVIDER_ADDRESSES: not of the form name=https://host, comma separated")
        return tuple((name, url) for name, _, url in pairs)

    @field_validator("rate_limits", mode="before")
    @classmethod
    def _split_limits(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        found = [_LIMIT.fullmatch(part.strip()) for part in value.split(",") if part.strip()]
        if not all(found):
            raise ValueError("RATE_LIMITS: not of the form name=count/seconds or name=off, comma separated")
        return tuple((m["name"], int(m["count"] or 0), int(m["seconds"] or 1)) for m in found if m)

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split_origins(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(part.strip().rstrip("/") for part in value.split(",") if part.strip())

    @field_validator("public_url", "frontend_url", "github_authorize_base", "github_api_base", mode="after")
    @classmethod
    def _no_trailing_slash(cls, value: str) -> str:
        return value.rstrip("/")

    @model_validator(mode="after")
    def _pool_is_large_enough(self) -> Self:
        # Each job's thread, the heartbeat, the upkeep, and one to spare.
        if self.database_pool_size < self.worker_threads + 3:
            raise ValueError("DATABASE_POOL_SIZE must be at least WORKER_THREADS + 3")
        return self

    @model_validator(mode="after")
    def _embedding_is_whole(self) -> Self:
        if self.embedding_base_url and not (self.embedding_model and self.embedding_dimensions):
            raise ValueError("EMBEDDING_BASE_URL needs EMBEDDING_MODEL and EMBEDDING_DIMENSIONS as well")
        if self.embedding_previous_base_url and not (
            self.embedding_previous_model and self.embedding_previous_dimensions
        ):
            raise ValueError(
                "EMBEDDING_PREVIOUS_BASE_URL needs EMBEDDING_PREVIOUS_MODEL and EMBEDDING_PREVIOUS_DIMENSIONS as well"
            )
        if self.llm_base_url and not self.llm_model:
            raise ValueError("LLM_BASE_URL needs LLM_MODEL as well")
        return self

    @property
    def signed_lives_seconds(self) -> int:
        """What is signed lives no longer: access tokens, OAuth states, and for a week the names of streams."""
        return max(self.access_token_seconds, self.oauth_nonce_seconds, 7 * 86400)

    def require_keys(self) -> Self:
        """The settings themselves, or `ValueError` when no key is set: nothing signs with an empty key."""
        if not self.secret_keys:
            raise ValueError("SECRET_KEYS is not set; make one with `secondbrain generate-key`")
        return self

    @property
    def allowed_origins(self) -> frozenset[str]:
        """Origins answered with CORS headers."""
        return frozenset((*self.cors_origins, self.frontend_url))


def generate_key() -> str:
    """A fresh `kid:base64` master key for SECRET_KEYS."""
    return f"{secrets.token_hex(4)}:{base64.b64encode(secrets.token_bytes(32)).decode()}"
