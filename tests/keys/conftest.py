"""Processes with the same master key and one database, none of which has asked for a key yet."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from backend.db.listen import Listener
from backend.keyring import Keyring
from backend.keys.follower import SigningKeyring
from tests.conftest import TestDatabase

MASTER = Keyring([("master", b"m" * 32)])

MakeProcess = Callable[..., SigningKeyring]


@pytest.fixture
def make_process(own_database: TestDatabase) -> Iterator[MakeProcess]:
    """Makes what a process holds; `follows` starts its listener and its thread."""
    with ExitStack() as stack:

        def make(master: Keyring = MASTER, *, follows: bool = False) -> SigningKeyring:
            db = own_database.connect(pool_size=4)
            stack.callback(db.close)
            listener = Listener(own_database.url)
            made = SigningKeyring(db, listener, master)
            if follows:
                listener.start()
                assert listener.wait_until_connected(10)
                made.start()
            stack.callback(listener.close)
            stack.callback(made.close)
            return made

        yield make
