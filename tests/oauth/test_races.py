"""Many instances reach for one nonce at the same moment."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from uuid import uuid4

import pytest

from backend.db.transaction import Database
from backend.oauth.repository import NonceAlreadyUsed, OAuthNonceRepository
from tests.conftest import Account, TestDatabase

#: Engines and notifiers as separate processes have them, and how many of their connections run at once.
INSTANCES = 8
CONSUMERS = 200
BEGINNERS = 50
BROWSER = "the browser's secret"


@pytest.fixture
def instances(own_database: TestDatabase) -> Iterator[list[Database]]:
    with ExitStack() as stack:
        made = [own_database.connect(pool_size=CONSUMERS // INSTANCES) for _ in range(INSTANCES)]
        for db in made:
            stack.callback(db.close)
        yield made


def race(
    instances: list[Database],
    account: Account,
    count: int,
    act: Callable[[OAuthNonceRepository, int], None],
) -> list[BaseException | None]:
    """What `count` concurrent calls of `act` came to; each holds an open transaction when all of them start."""
    outcomes: list[BaseException | None] = []
    together = threading.Barrier(count)

    def run(number: int) -> None:
        try:
            with instances[number % len(instances)].transaction(account.tenant_id) as session:
                together.wait(60)
                act(OAuthNonceRepository(session), number)
        except BaseException as error:  # noqa: BLE001 - the test looks at all of them
            outcomes.append(error)
        else:
            outcomes.append(None)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def kinds(outcomes: list[BaseException | None]) -> Counter[str]:
    return Counter("won" if outcome is None else type(outcome).__name__ for outcome in outcomes)


def issue(db: Database, account: Account) -> str:
    nonce = uuid4().hex
    with db.transaction(account.tenant_id) as session:
        OAuthNonceRepository(session).issue(
            account.tenant_id,
            nonce,
            user_id=account.user_id,
            connector_type="github",
            lifetime=timedelta(minutes=10),
        )
    return nonce


def test_consume_at_once_on_many_instances_has_one_winner(
    own_database: TestDatabase, instances: list[Database]
) -> None:
    account = own_database.make_tenant()
    nonce = issue(own_database.db, account)
    with own_database.db.transaction(account.tenant_id) as session:
        OAuthNonceRepository(session).begin(
            account.tenant_id, nonce, user_id=account.user_id, connector_type="github", browser=BROWSER
        )

    outcomes = race(
        instances,
        account,
        CONSUMERS,
        lambda nonces, _: nonces.consume(
            account.tenant_id, nonce, user_id=account.user_id, connector_type="github", browser=BROWSER
        ),
    )

    assert kinds(outcomes) == {"won": 1, NonceAlreadyUsed.__name__: CONSUMERS - 1}


def test_begin_at_once_in_many_browsers_has_one_winner(
    own_database: TestDatabase, instances: list[Database]
) -> None:
    account = own_database.make_tenant()
    nonce = issue(own_database.db, account)
    winners: list[str] = []

    def begin(nonces: OAuthNonceRepository, number: int) -> None:
        browser = f"browser {number}"
        nonces.begin(
            account.tenant_id, nonce, user_id=account.user_id, connector_type="github", browser=browser
        )
        winners.append(browser)

    outcomes = race(instances, account, BEGINNERS, begin)

    assert kinds(outcomes) == {"won": 1, NonceAlreadyUsed.__name__: BEGINNERS - 1}
    # The row is bound to the one that was told so.
    with own_database.db.transaction(account.tenant_id) as session:
        OAuthNonceRepository(session).consume(
            account.tenant_id, nonce, user_id=account.user_id, connector_type="github", browser=winners[0]
        )
