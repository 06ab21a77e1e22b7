"""What a provider must be able to do, and the values that cross that border.

Two halves, because two kinds of process need them: `OAuthProvider` connects an account (web), `Source` reads
it page by page (worker). Everything here is a plain frozen value; a page's cursor is JSON, so that whoever
stores it can let another process on another machine go on after that page.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, Self, TypeAlias

from backend.errors import Forbidden, Unavailable

JSON: TypeAlias = "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None"


class ProviderRefused(Forbidden):
    """The provider refused the request."""


class CredentialsRejected(Forbidden):
    """The provider no longer accepts the connection; connect the account again."""

    # Not `Unauthenticated`: the caller is signed in here, and clients sign users out on that kind.


class ProviderUnavailable(Unavailable):
    """The provider does not answer right now; try again later."""


class RateLimited(Unavailable):
    """The provider asks for a pause before the next request."""

    def __init__(self, resume_at: datetime) -> None:
        super().__init__(None, resume_at=resume_at.isoformat())
        #: Aware time before which the provider will answer the same again.
        self.resume_at = resume_at


@dataclass(frozen=True, slots=True)
class SourceItem:
    """One document as the provider has it now."""

    external_id: str
    """Names the item within its connector, the same in every pass."""
    title: str
    body: bytes = field(repr=False)
    """The file as stored, or Markdown in UTF-8 when the provider has no file."""
    mime_type: str
    file_name: str
    """Last path segment, with the extension a parser may go by."""
    kind: str
    """The provider's own word for what it is, such as `document`, `code`, `issue`."""
    url: str | None
    """Where a person opens it at the provider."""
    author: str | None
    created_at: datetime | None
    """Aware; None when the provider does not say."""
    updated_at: datetime | None
    metadata: Mapping[str, JSON]


@dataclass(frozen=True, slots=True)
class ItemFailure:
    """One item that could not be read; the pass goes on without it."""

    external_id: str
    url: str | None
    stage: str
    """What was being done, such as `download`."""
    reason: str
    """One sentence for the user: no internals, no secrets."""


@dataclass(frozen=True, slots=True)
class Page:
    """What one step of a pass brought, and where to go on."""

    items: tuple[SourceItem, ...]
    failures: tuple[ItemFailure, ...]
    cursor: Mapping[str, JSON]
    """JSON; `Source.pages(cursor)` yields what comes after this page."""
    total: int | None
    """Items in the whole pass when the provider says so beforehand, else None. An estimate: an item may
    vanish or turn out unreadable while the pass runs."""
    note: str | None
    """Headline for people who watch, such as `octocat/handbook: issues`."""


class Source(Protocol):
    """Reads one connected account. Not shared between threads."""

    def pages(self, cursor: Mapping[str, JSON] | None) -> Iterator[Page]:
        """Yield every item once, from the beginning (`None`) or after the page `cursor` came with.

        Holds one page in memory at a time. Raises `CredentialsRejected`, `RateLimited` or
        `ProviderUnavailable`; everything yielded before stays valid, and the last cursor continues from
        there.
        """
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a provider gave for one account. Sealed before it is stored; its repr shows no token."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_at: datetime | None
    """Aware; None means the provider named no end."""
    scopes: tuple[str, ...]
    """What was granted, which may be less than what was asked for."""
    token_type: str

    def to_json(self) -> bytes:
        """This as UTF-8 JSON, tokens included: for sealing, never for a log or an answer."""
        return json.dumps(
            {
                "access_token": self.access_token,
                "refresh_token": self.refresh_token,
                "expires_at": self.expires_at.isoformat() if self.expires_at else None,
                "scopes": self.scopes,
                "token_type": self.token_type,
            }
        ).encode()

    @classmethod
    def from_json(cls, raw: bytes) -> Self:
        """The credentials `to_json` wrote. Raises `ValueError` or `KeyError` for anything else."""
        stored = json.loads(raw)
        expires_at = stored["expires_at"]
        return cls(
            access_token=stored["access_token"],
            refresh_token=stored["refresh_token"],
            expires_at=datetime.fromisoformat(expires_at) if expires_at else None,
            scopes=tuple(stored["scopes"]),
            token_type=stored["token_type"],
        )


@dataclass(frozen=True, slots=True)
class Account:
    """Whose account it is at the provider."""

    external_id: str
    """The provider's immutable id; names change."""
    label: str
    """What the user recognises, such as a login name."""


class OAuthProvider(Protocol):
    """Connects accounts of one provider with the authorization code grant and PKCE (S256)."""

    @property
    def name(self) -> str:
        """The name in `PROVIDERS`."""
        ...

    def authorization_url(self, *, redirect_uri: str, state: str, code_verifier: str) -> str:
        """Where to send the browser. The verifier itself is not in it, only its SHA-256."""
        ...

    def exchange(self, *, code: str, redirect_uri: str, code_verifier: str) -> Credentials:
        """Trade the code of a callback for credentials; a code works once.

        Raises `ProviderRefused` (wrong or used code, wrong client, wrong verifier) or `ProviderUnavailable`.
        """
        ...

    def account(self, credentials: Credentials) -> Account:
        """Whose credentials these are. Raises `CredentialsRejected` or `ProviderUnavailable`."""
        ...

    def revoke(self, credentials: Credentials) -> None:
        """End these credentials at the provider; ones that have ended already are no error.

        Raises `ProviderRefused` or `ProviderUnavailable`.
        """
        ...
