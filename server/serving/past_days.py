"""Days gone by, each with the releases that were listed on it: read once, the last ones held."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from server.catalog.snapshot import Snapshot
from server.config.memory_budget import DEFAULT
from server.database.admission import Admission
from server.serving.lru import ByteLRU

AT_ONCE = 2  # days that answers are being made of


class PastDays:
    """`load` reads a day (YYYY-MM-DD, UTC) from the database; the last are held in `most` bytes."""

    def __init__(
        self,
        load: Callable[[str], Awaitable[Snapshot]],
        most: int = DEFAULT.days,
        admission: Admission | None = None,
    ) -> None:
        self._admission = admission or Admission()
        self._load = load
        self._most = most
        self._held = self._empty()
        self._turn = asyncio.Semaphore(AT_ONCE)

    def __len__(self) -> int:
        return len(self._held)

    @property
    def size(self) -> int:
        """Bytes in memory, near enough."""
        return self._held.size

    @asynccontextmanager
    async def open(self, day: str) -> AsyncIterator[Snapshot]:
        """Return the releases of a day, for AT_ONCE users at a time; the others wait their turn.

        So days beside those held are never more than a few. Raises DatabaseError.
        """
        async with self._turn:
            held = self._held  # what was asked for before a sync is not kept after it
            found = held.get(day)
            if found is None:
                found = await self._load(day)
                held.put(day, found)
            yield found

    async def read(self, day: str) -> Snapshot:
        """Return the releases of a day, once it is its turn. Raises Overloaded or DatabaseError."""
        with self._admission.enter():
            async with self.open(day) as found:
                return found

    def clear(self) -> None:
        """Hold none: what is known of them may have changed."""
        self._held = self._empty()

    def _empty(self) -> ByteLRU[str, Snapshot]:
        return ByteLRU(self._most, lambda _day, snapshot: snapshot.size)
