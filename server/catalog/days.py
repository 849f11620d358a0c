"""Days gone by, each with the releases that were listed on it: read once, the last few held."""

from collections.abc import Awaitable, Callable

from cachetools import LRUCache

from server.catalog.snapshot import Snapshot

MAX_DAYS = 4  # whose releases are held at once


class Days:
    """`load` reads a day (YYYY-MM-DD, UTC) from the database."""

    def __init__(self, load: Callable[[str], Awaitable[Snapshot]]) -> None:
        self._load = load
        self._held: LRUCache[str, Snapshot] = LRUCache(MAX_DAYS)

    def __len__(self) -> int:
        return len(self._held)

    async def read(self, day: str) -> Snapshot:
        """The releases of a day. Raises DatabaseError."""
        held = self._held  # what was asked for before a sync is not kept after it
        found = held.get(day)
        if found is None:
            found = held[day] = await self._load(day)
        return found

    def begin_anew(self) -> None:
        """Hold none: what is known of them may have changed."""
        self._held = LRUCache(MAX_DAYS)
