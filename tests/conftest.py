"""Real Postgres for every test: one server a session, migrated once, cloned where a test needs it alone.

Tests commit for real. They do not disturb each other because each makes its own tenants; what looks across
tenants (claims, purges) takes a database of its own (`own_database`), a copy of the migrated one.
"""

import itertools
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import MappingProxyType
from uuid import UUID, uuid4

import psycopg
import pytest
from pydantic import SecretStr

from backend.bundled import prepare_bundled
from backend.db.embedded import EmbeddedPostgres
from backend.db.engine import APP_ROLE, READONLY_ROLE, create_engine
from backend.db.migrate import migrate
from backend.db.notify import Notifier
from backend.db.transaction import Database
from backend.keyring import Keyring
from backend.settings import Settings, generate_key
from backend.tenants.repository import TenantRepository

#: What a test server need not do: survive a power cut.
FAST = MappingProxyType({"fsync": "off", "full_page_writes": "off", "max_connections": "500"})

TEMPLATE = "secondbrain"

#: Every process of an installation has the same ones: what one sealed in the database, the others open.
KEYS = generate_key()
_numbers = itertools.count()


class TestDatabase:
    """A database of the test server: `db` is the product's, `admin()` connects past every rule, for looking."""

    __test__ = False

    def __init__(self, server: EmbeddedPostgres, name: str) -> None:
        self.server = server
        self.name = name
        self.url = server.url(APP_ROLE, name)
        self.admin_url = server.url("postgres", name)
        self.readonly_url = server.url(READONLY_ROLE, name)
        self.db = self.connect()

    def connect(self, *, pool_size: int = 20) -> Database:
        """Another process's view: an engine and a notifier of its own. Close it."""
        engine = create_engine(self.url, pool_size=pool_size, application_name="tests")
        return Database(engine, Notifier(self.url))

    def admin(self) -> psycopg.Connection[tuple[object, ...]]:
        """A superuser's connection in autocommit mode."""
        return psycopg.connect(self.admin_url, autocommit=True)

    def make_tenant(self, name: str = "Tests") -> "Account":
        """A tenant with one administrator; whoever calls it gets a tenant of their own."""
        tenant_id = uuid4()
        email = f"user-{tenant_id.hex}@example.org"
        with self.db.transaction(tenant_id) as session:
            repository = TenantRepository(session)
            tenant = repository.create_tenant(tenant_id, name=name)
            user = repository.create_user(
                tenant_id, email=email, full_name="Test User", role="admin", password_hash="!"
            )
        return Account(tenant_id, user.id, tenant.slug, email)


class Account:
    """A tenant and its administrator."""

    def __init__(self, tenant_id: UUID, user_id: UUID, slug: str, email: str) -> None:
        self.tenant_id = tenant_id
        self.user_id = user_id
        self.slug = slug
        self.email = email


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedPostgres]:
    """The session's Postgres server, with the migrated database `secondbrain`."""
    with running_server(FAST) as postgres:
        yield postgres


@contextmanager
def running_server(settings: Mapping[str, str]) -> Iterator[EmbeddedPostgres]:
    """A server of one's own in a temporary folder, with the migrated database `secondbrain`."""
    with ExitStack() as stack:
        # Not pytest's tmp_path: started by root, the server runs as another user, who must get there.
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="secondbrain-tests-"))
        os.chmod(folder, 0o755)  # noqa: S103
        postgres = EmbeddedPostgres(Path(folder, "postgres"), settings=settings)
        postgres.start(bound_to_parent=True)
        stack.callback(postgres.stop, "immediate")
        prepare_bundled(postgres)
        migrate(settings_for(postgres.url(APP_ROLE, TEMPLATE), postgres.url("postgres", TEMPLATE)))
        yield postgres


@pytest.fixture(scope="session")
def database(server: EmbeddedPostgres) -> Iterator[TestDatabase]:
    """The database most tests share, each in tenants of its own."""
    made = clone(server)
    yield made
    made.db.close()


@pytest.fixture(scope="module")
def module_database(server: EmbeddedPostgres) -> Iterator[TestDatabase]:
    """A migrated database of one module: what goes across tenants, such as claims of jobs, meets nobody else's."""
    made = clone(server)
    yield made
    made.db.close()


@pytest.fixture
def own_database(server: EmbeddedPostgres) -> Iterator[TestDatabase]:
    """A migrated database that no other test sees."""
    made = clone(server)
    yield made
    made.db.close()
    with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {made.name} WITH (FORCE)".encode())


@pytest.fixture
def db(database: TestDatabase) -> Database:
    """The product's way to the shared database."""
    return database.db


@pytest.fixture
def account(database: TestDatabase) -> Account:
    """A tenant of the test's own."""
    return database.make_tenant()


@pytest.fixture
def make_account(database: TestDatabase) -> Callable[[], Account]:
    """Makes more tenants."""
    return database.make_tenant


@pytest.fixture(scope="session")
def keyring() -> Keyring:
    """Keys of the tests."""
    return Keyring([("test", b"k" * 32)])


def settings_for(url: str, owner_url: str = "", **more: str) -> Settings:
    """Settings that read nothing from the environment but what is given."""
    known = {field.alias for field in Settings.model_fields.values()}
    given = {"DATABASE_URL": url, "DATABASE_OWNER_URL": owner_url, "SECRET_KEYS": KEYS, **more}
    assert set(given) <= known
    return Settings.model_validate(given).model_copy(update={"database_url": SecretStr(url)})


def clone(server: EmbeddedPostgres) -> TestDatabase:
    """A copy of the migrated database; whoever asks for it closes its `db`."""
    name = f"test_{next(_numbers)}"
    with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}".encode())
    return TestDatabase(server, name)
