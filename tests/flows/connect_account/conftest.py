"""Two web instances that share a database, an emulated GitHub, and somebody who wants to connect it."""

from collections.abc import Iterator

import pytest

from tests.conftest import TestDatabase
from tests.emulators.github import GitHubEmulator, github_emulator
from tests.emulators.github_seed import Seed
from tests.flows.connect_account.browsers import Browser
from tests.tenants.instances import Instance, Person, web_instance


@pytest.fixture(scope="package")
def github() -> Iterator[GitHubEmulator]:
    with github_emulator(Seed(())) as emulator:
        yield emulator


@pytest.fixture(scope="package")
def github_settings(github: GitHubEmulator) -> dict[str, str]:
    """The environment of an instance that knows the emulated GitHub."""
    return {
        "GITHUB_CLIENT_ID": github.client_id,
        "GITHUB_CLIENT_SECRET": github.client_secret,
        "GITHUB_AUTHORIZE_BASE": github.base_url,
        "GITHUB_API_BASE": github.base_url,
    }


@pytest.fixture(scope="package")
def web(database: TestDatabase, github_settings: dict[str, str]) -> Iterator[Instance]:
    with web_instance(database, "web1", **github_settings) as instance:
        yield instance


@pytest.fixture(scope="package")
def web2(database: TestDatabase, github_settings: dict[str, str]) -> Iterator[Instance]:
    with web_instance(database, "web2", **github_settings) as instance:
        yield instance


@pytest.fixture
def person(web: Instance) -> Person:
    """An administrator of a workspace of their own."""
    return web.sign_in()


@pytest.fixture
def browser(web: Instance) -> Browser:
    """A fresh browser."""
    return Browser(web)
