"""Advisory locks that end with their test."""

from collections.abc import Callable
from typing import Any

import pytest

from server.database.advisory_lock import SessionLock
from server.database.executor import Database

KEY = 4711
MakeLock = Callable[[], SessionLock]


@pytest.fixture
def lock(database: Database, closing: Any) -> MakeLock:
    def make() -> SessionLock:
        lock = SessionLock(database, KEY)
        closing(lock.release)
        return lock

    return make
