"""Two web instances with one database between them."""

import io
from collections.abc import Iterator

import pytest
import structlog

from backend.logs import configure_logging
from tests.conftest import TestDatabase
from tests.tenants.instances import Instance, web_instance


@pytest.fixture(scope="package")
def web(database: TestDatabase) -> Iterator[Instance]:
    """A web instance."""
    with web_instance(database, "web1") as instance:
        yield instance


@pytest.fixture(scope="package")
def web2(database: TestDatabase) -> Iterator[Instance]:
    """Another web instance of the same installation."""
    with web_instance(database, "web2") as instance:
        yield instance


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """The log as a process writes it."""
    written = io.StringIO()
    usual = structlog.get_config()
    monkeypatch.setattr("sys.stderr", written)
    configure_logging(level="debug", fmt="json", instance="tests")
    yield written
    structlog.configure(**usual)
