"""What GitHub's webhook calls say, once their signature is found genuine.

See https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries; imported by web processes.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qs

from backend.connectors.providers.contract import ProviderRefused
from backend.connectors.providers.provider import Delivery, Notice

#: Events after which a pass of changes may find something. Others (`ping`, `star`, `check_run`, …) are answered and
#: forgotten.
CHANGES: Final = frozenset(
    {
        "discussion",
        "discussion_comment",
        "installation",
        "installation_repositories",
        "issue_comment",
        "issues",
        "public",
        "pull_request",
        "pull_request_review",
        "pull_request_review_comment",
        "push",
        "release",
        "repository",
    }
)


def receive(delivery: Delivery) -> Notice:
    """What a call says. Raises `ProviderRefused` for one that is not signed with the secret, or not understood."""
    _check_signature(delivery)
    headers = delivery.headers
    delivery_id, event = headers.get("x-github-delivery"), headers.get("x-github-event")
    if not delivery_id or not event:
        raise ProviderRefused("The call does not say which event it is.")
    payload = _payload(delivery)
    return Notice(
        delivery_id=delivery_id,
        is_change=event in CHANGES and not (event == "push" and _is_other_branch(payload)),
        account_ids=_owner(payload),
    )


def _check_signature(delivery: Delivery) -> None:
    if not delivery.secret:
        raise ProviderRefused("No secret is set for these calls, so none is accepted.")
    expected = "sha256=" + hmac.new(delivery.secret.encode(), delivery.body, hashlib.sha256).hexdigest()
    given = delivery.headers.get("x-hub-signature-256", "")
    # As bytes: a header may hold anything, and text outside ASCII cannot be compared.
    if not hmac.compare_digest(expected.encode(), given.encode(errors="replace")):
        raise ProviderRefused("The signature of the call does not match.")


def _payload(delivery: Delivery) -> Mapping[str, Any]:
    body = delivery.body
    try:
        # The webhook's setting "content type" decides which one it is.
        if delivery.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            body = parse_qs(body.decode())["payload"][0].encode()
        payload = json.loads(body)
    except (ValueError, KeyError, RecursionError) as error:
        raise ProviderRefused("The call is not understood.") from error
    if not isinstance(payload, dict):
        raise ProviderRefused("The call is not understood.")
    return payload


def _is_other_branch(payload: Mapping[str, Any]) -> bool:
    """Whether a push went to a branch, or a tag, that is not read."""
    branch = _part(payload, "repository").get("default_branch")
    return branch is not None and payload.get("ref") != f"refs/heads/{branch}"


def _owner(payload: Mapping[str, Any]) -> tuple[str, ...]:
    owner = _part(_part(payload, "repository"), "owner").get("id")
    return () if owner is None else (str(owner),)


def _part(payload: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = payload.get(name)
    return part if isinstance(part, dict) else {}
