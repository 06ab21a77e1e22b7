"""GitHub's webhook calls: which are believed, and which say that something changed.

The secret, body and signature of the first test are GitHub's own, from "Validating webhook deliveries".
"""

import hashlib
import hmac
import json
from typing import Any
from urllib.parse import quote

import pytest

from backend.connectors.providers.contract import ProviderRefused
from backend.connectors.providers.github import PROVIDER
from backend.connectors.providers.provider import Delivery, Notice, load

SECRET = "a secret of forty characters, or so it is"
REPOSITORY = {"full_name": "octocat/handbook", "default_branch": "main", "owner": {"id": 583231}}


def test_signature_is_the_one_github_documents() -> None:
    published = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    headers = {"x-hub-signature-256": published, "x-github-event": "ping", "x-github-delivery": "1"}
    genuine = Delivery(headers, b"Hello, World!", "It's a Secret to Everybody")
    # It is believed, and only then found to be no JSON.
    with pytest.raises(ProviderRefused, match="not understood"):
        receive(genuine)


@pytest.mark.parametrize(
    "signature",
    ["", "sha256=", "sha256=" + "0" * 64, "sha1=" + "0" * 40, "sha256=ü" + "0" * 63],
)
def test_call_with_a_wrong_signature_is_refused(signature: str) -> None:
    with pytest.raises(ProviderRefused, match="signature"):
        receive(call("push", signature=signature))


def test_call_that_was_altered_is_refused() -> None:
    genuine = call("push")
    with pytest.raises(ProviderRefused, match="signature"):
        receive(Delivery(genuine.headers, genuine.body + b" ", SECRET))


def test_call_is_refused_when_no_secret_is_set() -> None:
    with pytest.raises(ProviderRefused, match="No secret"):
        receive(call("push", secret=""))


@pytest.mark.parametrize(
    ("event", "payload", "is_change"),
    [
        ("ping", {"zen": "Keep it logically awesome."}, False),
        ("push", {"ref": "refs/heads/main"}, True),
        ("push", {"ref": "refs/heads/topic"}, False),
        ("push", {"ref": "refs/tags/main"}, False),
        ("issues", {"action": "opened"}, True),
        ("issue_comment", {"action": "deleted"}, True),
        ("pull_request", {"action": "synchronize"}, True),
        ("pull_request_review", {"action": "submitted"}, True),
        ("pull_request_review_comment", {"action": "created"}, True),
        ("discussion", {"action": "answered"}, True),
        ("discussion_comment", {"action": "created"}, True),
        ("release", {"action": "published"}, True),
        ("repository", {"action": "renamed"}, True),
        ("check_run", {"action": "completed"}, False),
        ("star", {"action": "created"}, False),
    ],
)
def test_call_says_whether_a_sync_would_see_something(
    event: str, payload: dict[str, Any], is_change: bool
) -> None:
    notice = receive(call(event, {**payload, "repository": REPOSITORY}))
    assert notice == Notice("72d3162e-cc78-11e3-81ab-4c9367dc0958", is_change, ("583231",))


def test_call_may_come_as_a_form() -> None:
    assert receive(call("push", {"ref": "refs/heads/main", "repository": REPOSITORY}, is_form=True)).is_change


@pytest.mark.parametrize("missing", ["x-github-delivery", "x-github-event"])
def test_call_without_a_name_is_refused(missing: str) -> None:
    genuine = call("push")
    headers = {name: value for name, value in genuine.headers.items() if name != missing}
    with pytest.raises(ProviderRefused, match="which event"):
        receive(Delivery(headers, genuine.body, SECRET))


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'"' + b"[" * 9, b"[" * 100_000])
def test_call_that_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(ProviderRefused, match="not understood"):
        receive(call("push", body=body))


def test_call_of_an_unknown_shape_changes_nothing_but_is_answered() -> None:
    notice = receive(call("ping", {"repository": [], "ref": 7}))
    assert (notice.is_change, notice.account_ids) == (False, ())


def call(
    event: str,
    payload: object = None,
    *,
    body: bytes | None = None,
    secret: str = SECRET,
    signature: str | None = None,
    is_form: bool = False,
) -> Delivery:
    """A call as GitHub sends it."""
    text = json.dumps(payload or {})
    if body is None:
        body = f"payload={quote(text)}".encode() if is_form else text.encode()
    genuine = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {
        "content-type": "application/x-www-form-urlencoded" if is_form else "application/json",
        "x-github-event": event,
        "x-github-delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
        "x-hub-signature-256": genuine if signature is None else signature,
    }
    return Delivery(headers, body, secret)


def receive(delivery: Delivery) -> Notice:
    """What the provider makes of a call."""
    assert PROVIDER.webhook is not None
    notice: Notice = load(PROVIDER.webhook)(delivery)
    return notice
