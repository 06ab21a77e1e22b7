"""Two web instances with one database between them."""

from collections.abc import Iterator

import pytest

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
