"""One listener of the changes: its place in the journal, and how it waits for more."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from server.catalog.change_event import Entry
from server.errors import DatabaseError

if TYPE_CHECKING:  # each knows the other
    from server.serving.streams.broadcast import Broadcast

PAGE_BYTES = 64 * 1024  # of changes that a listener is told at once, unless one alone has more


class Follower:
    """One listener: its position, its `client`, and whether it is `over`.

    One that is `evicted` had to make room for others; its connection is to be closed.
    """

    __slots__ = (
        "_broadcast",
        "_ring",
        "_sleep",
        "_unnamed",
        "client",
        "evicted",
        "over",
        "position",
    )

    def __init__(
        self, broadcast: "Broadcast", position: int, *, client: str = "", unnamed: bool = False
    ) -> None:
        self._broadcast = broadcast
        self._ring = broadcast.ring
        self._unnamed = unnamed
        self._sleep: asyncio.Future[None] | None = None
        self.client = client
        self.position = position
        self.over = self.evicted = False

    async def next(self, seconds: float) -> bytes:
        """The next events, as soon as there are any; empty after so long, or when it is over."""
        events = await self._take()
        if not events and not self.over and not self._has_news:
            self._broadcast.await_news(self)
            try:
                await self._pause(seconds)
            finally:
                self._broadcast.await_nothing(self)
        return events or await self._take()

    async def _take(self) -> bytes:
        try:
            entries = [] if self.over else await self._entries()
        except DatabaseError:
            return b""  # a listener stays, and its place is looked for again after the pause
        events: list[bytes] = []
        size = 0
        for entry in entries:
            event = entry.unnamed if self._unnamed else entry.event
            size += len(event)
            if events and size > PAGE_BYTES:
                break
            events.append(event)
            self.position = entry.seq
        return b"".join(events)

    async def _entries(self) -> Sequence[Entry]:
        """What comes next: a reset if its position is of a journal that has been replaced."""
        ring = self._broadcast.ring
        if ring is not self._ring and ring is not None:
            self._ring = ring
            return [Entry.reset(ring.reach)]
        return await self._broadcast.page(self.position)

    @property
    def _has_news(self) -> bool:
        """Whether something came into memory while the database was asked in vain."""
        ring = self._broadcast.ring
        return ring is not self._ring or (ring is not None and ring.is_ahead_of(self.position))

    async def settled(self, future: "asyncio.Future[None]", seconds: float) -> bool:
        """Whether something is done, waiting for it so long, or until it is over."""
        if not future.done() and not self.over:
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
        """End its pause."""
        if self._sleep is not None and not self._sleep.done():
            self._sleep.set_result(None)

    def evict(self) -> None:
        """End it to make room for others."""
        self.evicted = True
        self.leave()

    def leave(self) -> None:
        """It is over."""
        self.over = True
        self._broadcast.drop(self)
        self.wake()
