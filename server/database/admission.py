"""Admission control for requests that wait for the database or for a response being built.

Each waiting request holds its connection, head and handler in memory. Requests over the bound are
refused at once instead of waiting.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from server.config.memory_budget import DEFAULT
from server.database.executor import Database
from server.request_errors import Overloaded

T = TypeVar("T")

REQUEST_BYTES = 40_000  # memory of a request that waits


class Admission:
    """Admits requests that wait, up to `most` bytes together; `waiting` counts them."""

    def __init__(self, most: int = DEFAULT.waiting) -> None:
        self.most = most // REQUEST_BYTES
        self.waiting = 0

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Count a request while it waits. Raises Overloaded if the bound is reached."""
        if self.waiting >= self.most:
            raise Overloaded
        self.waiting += 1
        try:
            yield
        finally:
            self.waiting -= 1


class AdmittedDatabase:
    """The database as requests use it: each call must be admitted first."""

    def __init__(self, database: Database, admission: Admission) -> None:
        self._database = database
        self._admission = admission

    async def run(self, function: Callable[..., T], *args: Any) -> T:
        """Call `Database.run`. Raises Overloaded, or DatabaseUnavailable."""
        with self._admission.enter():
            return await self._database.run(function, *args)
