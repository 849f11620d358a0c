"""Snapshots of past days, each with the releases listed on it; the last ones are cached."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from server.catalog.snapshot import Snapshot
from server.config.memory_budget import DEFAULT
from server.database.admission import Admission
from server.serving.lru import ByteLRU

MAX_CONCURRENT = 2  # past days in use by builds at a time


class PastDays:
    """LRU cache of past days in up to `max_bytes`.

    `load` reads the snapshot of a day (YYYY-MM-DD, UTC) from the database.
    """

    def __init__(
        self,
        load: Callable[[str], Awaitable[Snapshot]],
        max_bytes: int = DEFAULT.days,
        admission: Admission | None = None,
    ) -> None:
        self._admission = admission or Admission()
        self._load = load
        self._max_bytes = max_bytes
        self._held = self._empty()
        self._turn = asyncio.Semaphore(MAX_CONCURRENT)

    def __len__(self) -> int:
        return len(self._held)

    @property
    def size(self) -> int:
        """Estimated bytes in memory."""
        return self._held.size

    @asynccontextmanager
    async def open(self, day: str) -> AsyncIterator[Snapshot]:
        """Yield the snapshot of a day to at most MAX_CONCURRENT callers at a time; others wait.

        This bounds the snapshots that are in memory beside the cached ones. Raises DatabaseError.
        """
        async with self._turn:
            held = self._held  # so that a day read before a sync is not cached after it
            found = held.get(day)
            if found is None:
                found = await self._load(day)
                held.put(day, found)
            yield found

    async def read(self, day: str) -> Snapshot:
        """Return the snapshot of a day. Raises Overloaded or DatabaseError."""
        with self._admission.enter():
            async with self.open(day) as found:
                return found

    def clear(self) -> None:
        """Drop all days: a sync may have changed their releases."""
        self._held = self._empty()

    def _empty(self) -> ByteLRU[str, Snapshot]:
        return ByteLRU(self._max_bytes, lambda _day, snapshot: snapshot.size)
