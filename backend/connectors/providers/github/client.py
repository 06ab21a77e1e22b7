"""One conversation with GitHub's API: its limits, its ways to refuse, its links to next pages, its GraphQL.

Plain httpx2, the client Authlib uses as well, and not githubkit: its models insist on fields that GitHub
Enterprise and emulators leave out, and its retries sleep inside the request where a job should rather be put
off.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final, Self

import httpx2

from backend.connectors.providers.contract import (
    ItemGone,
    ItemUnreadable,
    ProviderUnavailable,
    RateLimited,
)
from backend.connectors.providers.conversation import Conversation, refusal_of, resume_at, within_reason
from backend.errors import Conflict, Invalid


class RepositoryEmpty(Conflict):
    """The repository has no commits yet."""


class NotUnderstood(Invalid):
    """GitHub does not understand the request, such as a link to a next page that is too old."""


#: What one repository, stage or item may answer with while all others are fine.
UNREADABLE: Final = (ItemGone, ItemUnreadable, NotUnderstood)


class NoDiscussions(Exception):
    """This server, or this repository to this token, offers no discussions; the message says which, for people."""

    def __init__(self, message: str, *, is_everywhere: bool = False) -> None:
        super().__init__(message)
        #: Whether no repository will, so that asking further is of no use.
        self.is_everywhere = is_everywhere


@dataclass(frozen=True, slots=True)
class Answer:
    """A JSON answer, and the path of the page after it, to be given to `GitHubClient.get`."""

    data: Any
    next_path: str | None


class GitHubClient:
    """A session with one access token. Not shared between threads; close it."""

    def __init__(self, api_base: str, access_token: str) -> None:
        """`api_base` without a trailing slash, such as `https://api.github.com` or `https://host/api/v3`."""
        # Renamed repositories redirect by id; the conversation follows, and keeps the token at this origin.
        self._conversation = Conversation(
            api_base,
            headers={
                "Accept": "application/vnd.github+json",
                "Authorization": f"Bearer {access_token}",
                "X-GitHub-Api-Version": "2022-11-28",
            },
            refusal=_refusal,
        )
        base = self._conversation.base
        #: When GitHub sent its last good answer, by its own clock; None where a proxy leaves the header out.
        self.sent_at: datetime | None = None
        self._base_path = httpx2.URL(base).path.rstrip("/")
        # GitHub Enterprise: /api/v3 and /api/graphql.
        self._graphql = base.removesuffix("/v3") + "/graphql"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._conversation.close()

    def get(self, path: str) -> Answer:
        """The JSON at `path`, which starts with a slash and is quoted already.

        Raises `CredentialsRejected` (401), `RateLimited` (429, or 403 for that reason), `ItemUnreadable` (other 403
        and the rest of 4xx), `ItemGone` (404, 410), `RepositoryEmpty` (409), `NotUnderstood` (422) and, after a few
        attempts, `ProviderUnavailable` (5xx, broken connections, cut or unreadable answers).
        """
        response, data = self._conversation.request_json("GET", path)
        self.sent_at = _sent_at(response)
        return Answer(data, self._next_path(response))

    def get_list(self, path: str) -> Answer:
        """The same, for an answer that is a list. Raises ProviderUnavailable for another one."""
        answer = self.get(path)
        if not isinstance(answer.data, list):
            raise ProviderUnavailable
        return answer

    def each(self, path: str) -> Iterator[Any]:
        """Every element of a list that may go over several pages. Raises what `get` raises."""
        following: str | None = path
        while following:
            answer = self.get_list(following)
            yield from answer.data
            following = answer.next_path

    def query(self, query: str, variables: Mapping[str, Any]) -> Any:
        """The `data` of a GraphQL query.

        Raises what `get` raises, and NoDiscussions where there is no GraphQL, not this field, or not for this token.
        """
        try:
            response, answer = self._conversation.request_json(
                "POST", self._graphql, content={"query": query, "variables": variables}
            )
        except ItemGone as error:
            raise NoDiscussions("This GitHub server has no GraphQL API.", is_everywhere=True) from error
        except ItemUnreadable as error:
            raise NoDiscussions(error.message) from error
        if not isinstance(answer, dict):
            raise ProviderUnavailable
        if answer.get("errors") or "data" not in answer:
            raise _query_error(response, answer)
        self.sent_at = _sent_at(response)
        return answer["data"]

    def _next_path(self, response: httpx2.Response) -> str | None:
        url = response.links.get("next", {}).get("url")
        if not url:
            return None
        # Only the path is taken: whatever host a link names, the token goes to the configured one.
        return httpx2.URL(url).raw_path.decode("ascii").removeprefix(self._base_path)


def _sent_at(response: httpx2.Response) -> datetime | None:
    try:
        return parsedate_to_datetime(response.headers["date"]).astimezone(UTC)
    except (KeyError, ValueError, OverflowError):
        return None


def _refusal(response: httpx2.Response, raw: bytes) -> Exception:
    """What an answer other than a success means at GitHub."""
    match response.status_code:
        case HTTPStatus.TOO_MANY_REQUESTS:
            return RateLimited(_resume_at(response))
        case HTTPStatus.FORBIDDEN if _is_rate_limit(response, raw):
            return RateLimited(_resume_at(response))
        case HTTPStatus.FORBIDDEN if "required" in response.headers.get("x-github-sso", ""):
            return ItemUnreadable("The organisation asks for single sign-on to this app at GitHub.")
        case HTTPStatus.FORBIDDEN | HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS:
            return ItemUnreadable("GitHub does not let this account read it.")
        case HTTPStatus.CONFLICT:
            return RepositoryEmpty()
        case HTTPStatus.UNPROCESSABLE_ENTITY:
            return NotUnderstood()
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.NOT_FOUND | HTTPStatus.GONE | HTTPStatus.REQUEST_TIMEOUT:
            return refusal_of(response, raw)
        case status if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return refusal_of(response, raw)
        case status:
            return ItemUnreadable(f"GitHub answered with status {status}.")


def _query_error(response: httpx2.Response, answer: Mapping[str, Any]) -> Exception:
    """What GraphQL's errors mean, which come with status 200."""
    errors = answer.get("errors")
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    match first.get("type") or (first.get("extensions") or {}).get("code"):
        case "RATE_LIMITED" | "RATE_LIMIT":
            return RateLimited(_resume_at(response))
        case "NOT_FOUND":
            return ItemGone()
        case "undefinedField":
            return NoDiscussions(
                "This GitHub server does not offer discussions over its API.", is_everywhere=True
            )
        case "FORBIDDEN" | "INSUFFICIENT_SCOPES":
            return NoDiscussions("This account may not read discussions.")
        case _ if "rate limit" in str(answer.get("message") or first.get("message") or "").lower():
            return RateLimited(_resume_at(response))
        case _:
            # Such as "Something went wrong while executing your query": GitHub's own time limit.
            return ProviderUnavailable()


def _is_rate_limit(response: httpx2.Response, raw: bytes) -> bool:
    # The secondary limit is told by its message alone.
    headers = response.headers
    return (
        "retry-after" in headers
        or headers.get("x-ratelimit-remaining") == "0"
        or b"rate limit" in raw.lower()
    )


def _resume_at(response: httpx2.Response) -> datetime:
    headers = response.headers
    if "retry-after" not in headers and headers.get("x-ratelimit-remaining") == "0":
        try:
            reset = datetime.fromtimestamp(int(headers["x-ratelimit-reset"]), UTC)
        except (KeyError, ValueError, OverflowError, OSError):
            return resume_at(response)
        return within_reason(reset + timedelta(seconds=1))
    return resume_at(response)
