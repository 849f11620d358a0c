"""Portions of the catalogue that the snapshot does not hold; the last ones are cached."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from server.catalog.query import Portion
from server.catalog.snapshot import Snapshot
from server.config.memory_budget import DEFAULT
from server.database.admission import Admission
from server.serving.lru import ByteLRU

MAX_CONCURRENT = 2  # portions in use by builds at a time
PORTION_BYTES = 1500  # of a portion beside its releases
ID_BYTES = 80  # of an artist's id


class Portions:
    """LRU cache of portions in up to `max_bytes`; `load` reads one from the database."""

    def __init__(
        self,
        load: Callable[[Portion], Awaitable[Snapshot]],
        max_bytes: int = DEFAULT.portions,
        admission: Admission | None = None,
    ) -> None:
        self._admission = admission or Admission()
        self._load = load
        self._max_bytes = max_bytes
        self._held = self._empty()
        self._turn = asyncio.Semaphore(MAX_CONCURRENT)

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, portion: Portion) -> bool:
        """Return whether a portion is cached."""
        return self._held.get(portion) is not None

    @property
    def size(self) -> int:
        """Estimated bytes in memory."""
        return self._held.size

    @asynccontextmanager
    async def open(self, portion: Portion) -> AsyncIterator[Snapshot]:
        """Yield a portion to at most MAX_CONCURRENT callers at a time; others wait.

        This bounds the snapshots that are in memory beside the cached ones. Raises DatabaseError.
        """
        async with self._turn:
            held = self._held  # so that a portion read before a sync is not cached after it
            found = held.get(portion)
            if found is None:
                found = await self._load(portion)
                held.put(portion, found)
            yield found

    async def read(self, portion: Portion) -> Snapshot:
        """Return a portion. Raises Overloaded or DatabaseError."""
        with self._admission.enter():
            async with self.open(portion) as found:
                return found

    def clear(self) -> None:
        """Drop all portions: a sync may have changed their releases."""
        self._held = self._empty()

    def _empty(self) -> ByteLRU[Portion, Snapshot]:
        return ByteLRU(self._max_bytes, _size)


def _size(portion: Portion, snapshot: Snapshot) -> int:
    """Estimate the bytes of a portion in memory, which may hold no release at all."""
    return PORTION_BYTES + ID_BYTES * len(portion.artists) + snapshot.size
