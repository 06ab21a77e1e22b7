"""How Google's APIs answer, in the contract's errors.

Plain httpx2 through `Conversation` and not google-api-python-client: that one is synchronous on httplib2 with a
transport of its own, brings five packages along to build methods at run time from a description this needs ten
calls of, reads whole answers without a bound, and retries by sleeping inside the request.

What the answers mean: https://developers.google.com/workspace/gmail/api/guides/handle-errors and
https://developers.google.com/workspace/drive/api/guides/handle-errors.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

import httpx2

from backend.connectors.providers.contract import (
    CredentialsRejected,
    ItemUnreadable,
    Opening,
    ProviderRefused,
    ProviderUnavailable,
    RateLimited,
)
from backend.connectors.providers.conversation import Conversation, refusal_of, resume_at, within_reason

#: Reasons of a 403 that time mends.
_LIMITS: Final = frozenset(
    {
        "concurrentLimitExceeded",
        "quotaExceeded",
        "rateLimitExceeded",
        "userRateLimitExceeded",
        "RATE_LIMIT_EXCEEDED",
        "RESOURCE_EXHAUSTED",
    }
)
#: Reasons of a 403 that only a person mends who connects the account again.
_SCOPES: Final = frozenset({"insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"})
#: Reasons of a 403 that an administrator mends.
_SETUP: Final = (
    ("accessNotConfigured", "This API is not enabled in the Google Cloud project of this installation."),
    ("SERVICE_DISABLED", "This API is not enabled in the Google Cloud project of this installation."),
    ("domainPolicy", "The administrators of this Google Workspace do not allow this app."),
)
#: Reasons that are about one item.
_ITEM: Final = (
    ("exportSizeLimitExceeded", "Google exports documents of up to 10 MB only, and this one is larger."),
    ("cannotDownloadAbusiveFile", "Google takes this file for malware or spam and does not hand it over."),
    ("downloadQuotaExceeded", "This file has been downloaded too often lately; Google hands it over later."),
    ("cannotDownloadFile", "Its owner does not allow this file to be downloaded."),
    ("cannotExportFile", "Its owner does not allow this document to be exported."),
    ("fileNotDownloadable", "Google has no file for this document."),
)


class BadRequest(ProviderRefused):
    """Google does not understand the request."""


def connect(opening: Opening) -> Conversation:
    """A conversation with the API an `Opening` names, as the connected account."""
    token = opening.credentials.access_token if opening.credentials else ""
    return Conversation(
        opening.api_base,
        headers={"Accept": "application/json", "Authorization": f"Bearer {token}"},
        refusal=refusal,
    )


def get_object(
    api: Conversation, path: str, params: Mapping[str, str | int] | None = None
) -> Mapping[str, Any]:
    """The JSON object at `path`. Raises what `Conversation.request` raises, and ProviderUnavailable for any other
    JSON."""
    answer = api.get_json(path, params)
    if not isinstance(answer, dict):
        raise ProviderUnavailable
    return answer


def refusal(response: httpx2.Response, body: bytes) -> Exception:
    """What an answer of Google's that is no success means."""
    status, reasons = response.status_code, _reasons(body)
    if status == HTTPStatus.FORBIDDEN:
        if reasons & _LIMITS:
            return RateLimited(resume_at(response))
        if "dailyLimitExceeded" in reasons:
            return RateLimited(within_reason(datetime.now(UTC) + timedelta(hours=1)))
        if reasons & _SCOPES:
            return CredentialsRejected(
                "Reading was not allowed on Google's page; connect the account again and leave it ticked."
            )
        for reason, explanation in _SETUP:
            if reason in reasons:
                return ProviderRefused(explanation)
    for reason, explanation in _ITEM:
        if status == HTTPStatus.FORBIDDEN and reason in reasons:
            return ItemUnreadable(explanation)
    if status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED) and any(
        reason.startswith("push.webhookUrl") for reason in reasons
    ):
        return ProviderRefused(
            "Google does not accept this installation's address (PUBLIC_URL) for notifications."
        )
    if status == HTTPStatus.BAD_REQUEST:
        if reasons & {"failedPrecondition", "FAILED_PRECONDITION"}:
            return ProviderRefused("Google says that this account does not have this service.")
        return BadRequest()
    return refusal_of(response, body)


def _reasons(body: bytes) -> set[str]:
    """Google's words for what is wrong: of `errors`, of `details`, and the status."""
    try:
        error: Any = json.loads(body)["error"]
        named = [*error.get("errors", ()), *error.get("details", ())]
        return {str(error.get("status")), *(str(each.get("reason")) for each in named)}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return set()
