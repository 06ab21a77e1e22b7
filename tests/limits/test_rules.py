"""Which requests are limited, by what."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from backend.admission import network
from backend.app import create_app
from backend.limits.rules import DEFAULTS, ROUTES, Rules
from backend.wiring import Services, wire
from tests.conftest import TestDatabase, settings_for


@pytest.fixture(scope="module")
def services(database: TestDatabase) -> Iterator[Services]:
    made = wire(settings_for(database.url, LOG_LEVEL="error"))
    yield made
    made.close()


def test_limited_routes_exist(services: Services) -> None:
    routes = {
        (method, rule.rule)
        for rule in create_app(services).url_map.iter_rules()
        for method in rule.methods or ()
    }
    assert set(ROUTES) <= routes


def test_every_limit_is_used() -> None:
    names = [rule.name for rule in DEFAULTS]
    assert len(set(names)) == len(names)
    assert {name for limits in ROUTES.values() for name in limits} | {"changes"} == set(names)


def test_documentation_names_every_limit() -> None:
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    shown = dict(re.findall(r"^\| `([a-z_]+)` \| (\d+) ", page, flags=re.MULTILINE))
    assert shown == {rule.name: str(rule.count) for rule in DEFAULTS}


def test_public_changes_of_state_are_limited_by_address() -> None:
    rules = Rules()
    for path in ("signup", "login", "refresh"):
        assert rules.of("POST", f"/api/auth/{path}", is_signed_in=False)


def test_asking_for_progress_is_not_limited() -> None:
    rules = Rules()
    for route in (
        "/api/integrations/<connector_type>/sync/status",
        "/api/sync-progress/<sync_id>",
        "/api/sync-progress/<sync_id>/stream",
        "/api/auth/me",
        "/api/health",
    ):
        assert rules.of("GET", route, is_signed_in=True) == ()


def test_any_other_change_is_limited_by_user() -> None:
    assert [rule.name for rule in Rules().of("DELETE", "/api/whatever", is_signed_in=True)] == ["changes"]


def test_search_is_limited_as_clients_expect() -> None:
    (search,) = Rules().of("POST", "/api/search", is_signed_in=True)
    assert (search.count, search.period.total_seconds()) == (30, 60)


def test_settings_change_and_lift_limits() -> None:
    settings = settings_for("postgresql://nowhere", RATE_LIMITS="search=5/10, signup=off")
    rules = Rules(settings.rate_limits)
    (search,) = rules.of("POST", "/api/search", is_signed_in=True)
    assert (search.count, search.period.total_seconds()) == (5, 10)
    assert rules.of("POST", "/api/auth/signup", is_signed_in=False) == ()
    assert rules.of("POST", "/api/auth/refresh", is_signed_in=False)


@pytest.mark.parametrize(
    "value", ["search", "search=", "search=0/60", "search=5", "search=5/0", "=5/60", "a=-1/5"]
)
def test_limits_that_cannot_be_read_are_refused(value: str) -> None:
    with pytest.raises(ValidationError, match="RATE_LIMITS"):
        settings_for("postgresql://nowhere", RATE_LIMITS=value)


def test_limit_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no limit 'serch'"):
        Rules([("serch", 1, 1)])


@pytest.mark.parametrize(
    ("address", "subscriber"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("", "unknown"),
        (None, "unknown"),
        ("<script>", "unknown"),
    ],
)
def test_subscriber_is_an_ipv4_address_or_an_ipv6_network(address: str | None, subscriber: str) -> None:
    assert network(address) == subscriber
