"""Two web instances with small limits, and one database between them."""

from collections.abc import Iterator

import pytest

from tests.conftest import TestDatabase
from tests.tenants.instances import Instance, web_instance

LIMITS = "search=3/3600,login_failures_here=3/3600,login_failures=5/3600,signup=2/3600,api_keys=off"


@pytest.fixture
def web(own_database: TestDatabase) -> Iterator[Instance]:
    """A web instance."""
    with web_instance(own_database, "web1", RATE_LIMITS=LIMITS) as instance:
        yield instance


@pytest.fixture
def web2(own_database: TestDatabase) -> Iterator[Instance]:
    """Another web instance of the same installation."""
    with web_instance(own_database, "web2", RATE_LIMITS=LIMITS) as instance:
        yield instance
