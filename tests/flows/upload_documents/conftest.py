"""One worker, and a workspace whose files it reads."""

from collections.abc import Iterator

import pytest

from tests.conftest import Account, TestDatabase
from tests.flows.upload_documents.scene import Bench, Model


@pytest.fixture(scope="module")
def alone(module_database: TestDatabase) -> TestDatabase:
    """A database of this module: nobody else's jobs are in it."""
    return module_database


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def bench(alone: TestDatabase, model: Model) -> Iterator[Bench]:
    made = Bench(alone, model)
    yield made
    with alone.admin() as connection:
        connection.execute("DELETE FROM jobs")


@pytest.fixture
def account(alone: TestDatabase) -> Account:
    return alone.make_tenant()
