"""Advisory locks that end with their test."""

from collections.abc import Callable

import pytest

from server.database.advisory_lock import SessionLock
from server.database.executor import Database
from tests.support.loops import Closing

KEY = 4711
MakeLock = Callable[[], SessionLock]


@pytest.fixture
def lock(database: Database, closing: Closing) -> MakeLock:
    def make() -> SessionLock:
        lock = SessionLock(database, KEY)
        closing(lock.release)
        return lock

    return make
