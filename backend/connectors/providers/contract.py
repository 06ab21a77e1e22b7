"""What a provider must be able to do, and the values that cross that border.

Two halves, because two kinds of process need them: `OAuthProvider` connects an account (web), `Source` lists
and reads it page by page (worker). Everything here is a plain frozen value; a page's cursor is JSON, so that
whoever stores it can let another process on another machine go on after that page.

A source lists and reads; it keeps nothing, decides nothing, retries little. What is unchanged, what failed and is
tried again, what was deleted, when to wait and when to give up: that is the engine's (`flows/sync_connector`).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, Self, TypeAlias

from backend.errors import Conflict, Forbidden, NotFound, Unavailable, Unprocessable

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


class CursorExpired(Conflict):
    """The provider no longer knows what has changed since then; everything has to be listed again."""


class ItemGone(NotFound):
    """The provider no longer has this item, or hides it from this account."""


class ItemUnreadable(Unprocessable):
    """The provider does not hand this item over."""


class NothingToRead(Unprocessable):
    """In this version the item holds nothing that could be found: it is no document, and that is no failure."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An item as a listing shows it. What is unchanged since it was stored is never read."""

    external_id: str
    """Names the item within its connector, the same in every pass."""
    title: str
    url: str | None
    """Where a person opens it at the provider."""
    revision: str | None
    """Another one whenever the content is another one, such as a blob's sha or a version number; None when the
    listing does not tell, so that the item must be read to know."""
    locator: Mapping[str, JSON]
    """What `Source.read` needs to find it. Stored when reading fails, so that it can be tried again in days."""
    listed: Any = field(default=None, repr=False, compare=False)
    """What the listing told already, to save `read` a request; never stored, so `read` must do without it."""


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
    """Who wrote it, by the name that tells people apart there (a login, an address, a user id)."""
    created_at: datetime | None
    """Aware; None when the provider does not say."""
    updated_at: datetime | None
    metadata: Mapping[str, JSON]
    """What people filter by and see with a source: `labels`, `channel`, `participants`, `folder_path`,
    `file_type`, `language`, … Small: ids and names, no text."""


@dataclass(frozen=True, slots=True)
class ItemFailure:
    """Something that could not be listed, such as a folder; the pass goes on without it."""

    external_id: str
    url: str | None
    stage: str
    """What was being done, such as `list`."""
    reason: str
    """One sentence for the user: no internals, no secrets."""
    hides: tuple[str, ...] = ("",)
    """Beginnings of the external ids of all items that it may hide: a pass that does not show them proves nothing about
    them. An empty one: it may hide any."""


@dataclass(frozen=True, slots=True)
class Page:
    """What one step of a pass showed, and where to go on."""

    cursor: Mapping[str, JSON]
    """JSON; `Source.pages(cursor)` yields what comes after this page. After the last page of a pass it stands for
    this moment: given to `pages` later, it yields what has changed since."""
    entries: tuple[Entry, ...] = ()
    """In any order; the same item may come again on another page."""
    gone: tuple[str, ...] = ()
    """External ids of items that the provider says are deleted, or no longer to be seen."""
    failures: tuple[ItemFailure, ...] = ()
    is_full: bool = False
    """Whether it is part of a pass over everything there is. What such a pass does not show, twice in a row and
    without a failure that may hide it, has been deleted at the source."""
    total: int | None = None
    """Items in the whole pass when the provider says so, else None. Never a guess."""
    note: str | None = None
    """Headline for people who watch, such as `octocat/handbook: issues`."""


class Source(Protocol):
    """Reads one connected account. Not shared between threads."""

    def pages(self, since: Mapping[str, JSON] | None) -> Iterator[Page]:
        """Yield everything there is (`None`), or what comes after the page that `since` came with.

        A pass, full or of changes, ends with the iterator, and at least one page, if an empty one, carries the
        cursor to begin the next one with. Lists only, one page (at most some hundred entries) in memory at a time.

        Raises `CursorExpired` (410, or 404 for a cursor; a full pass follows), `CredentialsRejected` (401: they are
        renewed once, and a new source goes on), `RateLimited`, `ProviderUnavailable` or `ProviderRefused` (nothing
        at all can be read). Everything yielded before stays valid, and the last cursor continues from there.
        """
        ...

    def read(self, entry: Entry) -> SourceItem:
        """The item itself, with its body.

        Raises `ItemGone`; `NothingToRead`, after which it is not read again before its revision is another one; or
        `ItemUnreadable` with the reason for the user (too large, no permission, encrypted …); and `CredentialsRejected`, `RateLimited` or `ProviderUnavailable` as `pages` does.
        """
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


@dataclass(frozen=True, slots=True)
class Opening:
    """What a source is opened with."""

    settings: Mapping[str, Any]
    """What to sync: the connector's settings, as its `settings_model` has validated them."""
    credentials: "Credentials | None"
    """None for a source that needs none."""
    api_base: str
    """Origin of the provider's API, without a slash at the end; another one for a company's own server, or a test."""
    allow_private_addresses: bool = False
    """Whether sources that follow addresses may follow them into private networks; only tests do."""


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

    def refresh(self, credentials: Credentials) -> Credentials:
        """New credentials for ones with a refresh token, which may be spent by this.

        Raises `CredentialsRejected` (`invalid_grant`: only connecting again helps), `ProviderRefused` or
        `ProviderUnavailable` (it may have been spent all the same: RFC 6749 knows no answer to a lost answer).
        """
        ...

    def revoke(self, credentials: Credentials) -> None:
        """End these credentials at the provider; ones that have ended already are no error.

        Raises `ProviderRefused` or `ProviderUnavailable`.
        """
        ...
