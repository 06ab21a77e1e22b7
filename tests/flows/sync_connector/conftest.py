"""One scene a test, on a database of the module's own: claims look across tenants."""

import pytest

from backend.keyring import Keyring
from tests.conftest import TestDatabase
from tests.flows.sync_connector.scene import CountingEmbedder, Scene


@pytest.fixture(scope="module")
def module_database(module_database: TestDatabase) -> TestDatabase:
    return module_database


@pytest.fixture
def embedder() -> CountingEmbedder:
    return CountingEmbedder()


@pytest.fixture
def scene(module_database: TestDatabase, keyring: Keyring, embedder: CountingEmbedder) -> Scene:
    with module_database.admin() as connection:
        connection.execute("DELETE FROM jobs")
        connection.execute("DELETE FROM tenants")
    return Scene(module_database, keyring, embedder)
