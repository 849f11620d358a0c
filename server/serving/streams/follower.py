"""One event stream: its position in the journal, and how it waits for new changes."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from server.catalog.journal import JournalEntry, Place
from server.errors import DatabaseError
from server.serving.streams.ring import Ring

PAGE_BYTES = 64 * 1024  # of changes that are sent at once, unless a single one is larger


class Publisher(Protocol):
    """What a follower needs of the broadcast that it belongs to."""

    ring: Ring | None

    def add_waiting(self, follower: "Follower") -> None:
        """Wake this follower when changes arrive."""

    def remove_waiting(self, follower: "Follower") -> None:
        """Stop waking this follower."""

    async def page(self, after: Place) -> Sequence[JournalEntry]:
        """Return the next entries after a place. Raises DatabaseError."""

    def drop(self, follower: "Follower") -> None:
        """Remove a follower that has disconnected."""


class Follower:
    """An open event stream: its position, its `client`, and whether it is `is_over`.

    An `evicted` one was ended to make room for others, and its connection has to be closed.
    """

    __slots__ = (
        "_broadcast",
        "_ring",
        "_sleep",
        "_unnamed",
        "client",
        "evicted",
        "is_over",
        "position",
    )

    def __init__(
        self, broadcast: Publisher, position: Place, *, client: str = "", unnamed: bool = False
    ) -> None:
        self._broadcast = broadcast
        self._ring = broadcast.ring
        self._unnamed = unnamed
        self._sleep: asyncio.Future[None] | None = None
        self.client = client
        self.position = position
        self.is_over = self.evicted = False

    async def next(self, seconds: float) -> bytes:
        """Return the next events as soon as they arrive; b"" after `seconds`, or at the end."""
        events = await self._take()
        if not events and not self.is_over and not self._has_news:
            self._broadcast.add_waiting(self)
            try:
                await self._pause(seconds)
            finally:
                self._broadcast.remove_waiting(self)
        return events or await self._take()

    async def _take(self) -> bytes:
        try:
            entries = [] if self.is_over else await self._entries()
        except DatabaseError:
            return b""  # the stream stays open; the database is tried again after the pause
        events: list[bytes] = []
        size = 0
        for entry in entries:
            event = entry.unnamed if self._unnamed else entry.event
            size += len(event)
            if events and size > PAGE_BYTES:
                break
            events.append(event)
            self.position = entry.place
        return b"".join(events)

    async def _entries(self) -> Sequence[JournalEntry]:
        """Return the next entries: a reset if the position is from a journal that was replaced."""
        ring = self._broadcast.ring
        if ring is not self._ring and ring is not None:
            self._ring = ring
            return [JournalEntry.reset(ring.reach)]
        return await self._broadcast.page(self.position)

    @property
    def _has_news(self) -> bool:
        """Whether new changes came into memory while the database returned none."""
        ring = self._broadcast.ring
        return ring is not self._ring or (ring is not None and ring.is_ahead_of(self.position.seq))

    async def wait_for(self, future: "asyncio.Future[None]", seconds: float) -> bool:
        """Wait for a future, at most `seconds` or until the end; return whether it is done."""
        if not future.done() and not self.is_over:
            future.add_done_callback(lambda _: self.wake())
            await self._pause(seconds)
        return future.done()

    async def _pause(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._sleep = loop.create_future()
        timer = loop.call_later(seconds, self.wake)
        try:
            await self._sleep
        finally:
            timer.cancel()

    def wake(self) -> None:
        """End the pause."""
        if self._sleep is not None and not self._sleep.done():
            self._sleep.set_result(None)

    def evict(self) -> None:
        """End the stream to make room for others."""
        self.evicted = True
        self.leave()

    def leave(self) -> None:
        """End the stream."""
        self.is_over = True
        self._broadcast.drop(self)
        self.wake()
