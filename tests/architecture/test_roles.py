"""Viewers look, members change, administrators decide: over all routes there are."""

import re
from collections.abc import Iterator
from types import MappingProxyType
from typing import Final
from uuid import uuid4

import pytest

from tests.architecture.test_routes import CHANGING, PUBLIC, Route, routes_of
from tests.conftest import TestDatabase
from tests.tenants.instances import Instance, web_instance

#: What a viewer may do though it changes something, each with its reason.
FOR_EVERYBODY: Final = MappingProxyType(
    {
        ("POST", "/api/search"): "asks; changes nothing but one's own conversation",
        ("POST", "/api/search/stream"): "the same",
        ("POST", "/api/auth/logout-all"): "one's own sessions",
        ("POST", "/api/desk/sign-out"): "one's own session",
        ("POST", "/api/desk/feedback"): "what one thinks of an answer",
        ("DELETE", "/api/auth/sessions/<session_id>"): "one's own sessions",
        ("POST", "/api/auth/api-keys"): "one's own keys, which can do no more than oneself",
        ("DELETE", "/api/auth/api-keys/<key_id>"): "one's own keys",
        ("POST", "/api/chat/conversations"): "one's own conversations",
        ("PUT", "/api/chat/conversations/<chat_id>"): "one's own conversations",
        ("DELETE", "/api/chat/conversations/<chat_id>"): "one's own conversations",
        ("POST", "/api/chat/conversations/<chat_id>/messages"): "one's own conversations",
        ("POST", "/api/chat/conversations/bulk-archive"): "one's own conversations",
        ("POST", "/api/chat/conversations/bulk-delete"): "one's own conversations",
        ("POST", "/api/feedback"): "what one thinks of an answer",
        ("POST", "/api/search/<search_id>/click"): "what one opened of one's own search",
    }
)

#: What shows a viewer nothing either.
NOT_FOR_VIEWERS: Final = MappingProxyType(
    {
        ("GET", "/api/integrations/<connector_type>/auth"): "begins to connect a source",
        ("GET", "/api/integrations/<connector_type>/choices"): "is asked with somebody's account",
        ("GET", "/api/integrations/slack/channels"): "is asked with somebody's account",
        ("GET", "/api/integrations/github/repositories"): "is asked with somebody's account",
        ("GET", "/api/integrations/<connector_type>/webhook"): "shows a secret",
        ("GET", "/api/admin/config/<name>"): "administration",
        ("GET", "/api/admin/config/<name>/history"): "administration",
        ("GET", "/api/admin/parser"): "administration",
        ("GET", "/api/admin/reindex"): "administration",
        ("GET", "/api/admin/users"): "administration",
        ("GET", "/api/admin/searches"): "administration",
    }
)

FOR_ADMINISTRATORS: Final = ("/api/admin/",)
ADMINISTRATORS_ALONE: Final = frozenset(
    {
        ("POST", "/api/integrations/<connector_type>/disconnect"),
        ("DELETE", "/api/documents/all"),
        ("GET", "/api/integrations/<connector_type>/webhook"),
    }
)


@pytest.fixture(scope="module")
def web(database: TestDatabase) -> Iterator[Instance]:
    with web_instance(database, "roles", RATE_LIMITS="changes=off,connect=off") as instance:
        yield instance


def refused(web: Instance, role: str) -> set[Route]:
    """Private routes that say 403 to somebody of this role."""
    person = web.colleague(web.sign_in(), role=role)
    return {
        route
        for route in set(routes_of(web.app)) - set(PUBLIC) - set(FOR_EVERYBODY)
        if web.call(route[0], _path(route[1]), person, json=dict(BODY)).status_code == 403
    }


#: Good enough for every route to come to who is asking.
BODY: Final = MappingProxyType(
    {
        "settings": {},
        "channels": [],
        "access_token": "x",
        "documents": "keep",
        "version": 1,
        "classification": "work",
        "document_ids": [],
        "url": "https://nothing.invalid/",
    }
)


def test_viewers_change_nothing(web: Instance) -> None:
    changing = {route for route in routes_of(web.app) if route[0] in CHANGING}
    assert len(changing) > 20
    expected = changing - set(PUBLIC) - set(FOR_EVERYBODY) | set(NOT_FOR_VIEWERS)
    assert refused(web, "viewer") == expected


def test_members_change_sources_and_administer_nothing(web: Instance) -> None:
    everything = set(routes_of(web.app)) - set(PUBLIC) - set(FOR_EVERYBODY)
    expected = {
        route for route in everything if route[1].startswith(FOR_ADMINISTRATORS)
    } | ADMINISTRATORS_ALONE
    assert refused(web, "member") == expected


def _path(rule: str) -> str:
    path = rule.replace("<connector_type>", "github").replace("<name>", "parser")
    return re.sub(r"<\w+>", lambda _: str(uuid4()), path)
