"""Changes as they come, for thousands of listeners: the last ones in memory, a position for each.

What is new is read once a process, whoever listens. Only who is behind what is held is served from
the database, page by page.
"""

import asyncio
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Sequence

from server.catalog.entry import Entry
from server.errors import DatabaseError
from server.refusals import TooManyListeners
from server.tasks import attempt_now

HELD = 1000  # changes
MOST = 10_000  # listeners
PAGE = 100  # changes that a listener is told at once, from memory or the database
PAGE_BYTES = 64 * 1024  # and so many bytes, unless one alone has more
BATCH = 100  # listeners that are woken before other work has its turn

Read = Callable[[int, int], Awaitable[list[Entry]]]
ReadLatest = Callable[[int], Awaitable[list[Entry]]]


class Broadcast:
    """`read(after, limit)` reads changes in order, `read_latest(limit)` the last of all.

    `held` are kept for up to `most` listeners. `feed` is to be called whenever there may be more.
    """

    def __init__(
        self, read: Read, read_latest: ReadLatest, held: int = HELD, most: int = MOST
    ) -> None:
        self._read = read
        self._read_latest = read_latest
        self._held = held
        self._most = most
        self._ring: list[Entry] = []  # all there is between these two
        self._floor = 0
        self._newest: int | None = None
        self._followers: set[Follower] = set()
        self._waiting: dict[Follower, None] = {}
        self._pages: dict[int, asyncio.Task[list[Entry]]] = {}
        self._feeding = asyncio.Lock()
        self._paging = asyncio.Lock()
        self._closed = False

    @property
    def listeners(self) -> int:
        """How many there are."""
        return len(self._followers)

    async def feed(self) -> None:
        """Read what is new and wake who waits for it. Raises DatabaseError."""
        async with self._feeding:
            if self._newest is None:
                await self._begin()
            # After the newest that was seen comes nothing older (see `journal`): nothing is missed.
            while self._newest is not None:
                entries = await self._read(self._newest, self._held // 2)
                if entries:
                    self._hold(entries)
                    await self._wake()
                if len(entries) < self._held // 2:
                    break

    async def _begin(self) -> None:
        """Hold the latest, for those who come back after a restart of ours."""
        self._ring = await self._read_latest(self._held)
        self._newest = self._ring[-1].seq if self._ring else 0
        self._floor = self._ring[0].seq - 1 if len(self._ring) == self._held else 0

    def _hold(self, entries: list[Entry]) -> None:
        together = self._ring + entries
        self._ring, dropped = together[-self._held :], together[: -self._held]
        self._newest = entries[-1].seq
        self._floor = dropped[-1].seq if dropped else self._floor

    async def _wake(self) -> None:
        for number, follower in enumerate(tuple(self._waiting), 1):
            attempt_now(follower.wake, None)
            if number % BATCH == 0:
                await asyncio.sleep(0)

    async def follow(self, after: int | None) -> "Follower":
        """A place for one more listener, who begins after a seq, or with what comes from now on.

        Raises TooManyListeners, or a DatabaseError if nothing has been read yet and cannot be.
        """
        if self._newest is None:
            await self.feed()
        if len(self._followers) >= self._most:
            raise TooManyListeners
        follower = Follower(self, (self._newest or 0) if after is None else after)
        self._followers.add(follower)
        if self._closed:
            follower.leave()
        return follower

    async def page(self, after: int) -> Sequence[Entry]:
        """What comes next after a seq, from memory where it is held. Raises DatabaseError."""
        if after < self._floor:
            return await asyncio.shield(self._page_of_old(after))
        start = bisect_right(self._ring, after, key=lambda entry: entry.seq)
        return self._ring[start : start + PAGE]

    def _page_of_old(self, after: int) -> "asyncio.Task[list[Entry]]":
        """Whoever asks for the same page at the same time shares it."""
        if after not in self._pages:
            self._pages[after] = task = asyncio.create_task(self._read_old(after))
            task.add_done_callback(lambda task: self._read_has_ended(after, task))
        return self._pages[after]

    async def _read_old(self, after: int) -> list[Entry]:
        async with self._paging:  # one thread at a time, for others need the database too
            return await self._read(after, PAGE)

    def _read_has_ended(self, after: int, task: "asyncio.Task[list[Entry]]") -> None:
        del self._pages[after]
        if not task.cancelled():
            task.exception()  # it is no loss if all who wanted to know are gone

    def await_news(self, follower: "Follower") -> None:
        """Wake it when there is more."""
        self._waiting[follower] = None

    def await_nothing(self, follower: "Follower") -> None:
        """Do not wake it any more."""
        self._waiting.pop(follower, None)

    def drop(self, follower: "Follower") -> None:
        """Somebody listens no more."""
        self._followers.discard(follower)

    def close(self) -> None:
        """Send everybody away, also who comes later; they find their place again elsewhere."""
        self._closed = True
        for follower in tuple(self._followers):
            attempt_now(follower.leave, None)
        for task in self._pages.values():
            task.cancel()


class Follower:
    """One listener: its position, and whether it is `over`."""

    __slots__ = ("_broadcast", "_sleep", "over", "position")

    def __init__(self, broadcast: Broadcast, position: int) -> None:
        self._broadcast = broadcast
        self._sleep: asyncio.Future[None] | None = None
        self.position = position
        self.over = False

    async def next(self, seconds: float) -> bytes:
        """The next events, as soon as there are any; empty after so long, or when it is over."""
        events = await self._take()
        if not events and not self.over:
            self._broadcast.await_news(self)
            try:
                await self._pause(seconds)
            finally:
                self._broadcast.await_nothing(self)
            events = await self._take()
        return events

    async def _take(self) -> bytes:
        try:
            entries = [] if self.over else await self._broadcast.page(self.position)
        except DatabaseError:
            return b""  # a listener stays, and its place is looked for again after the pause
        events: list[bytes] = []
        size = 0
        for entry in entries:
            size += len(entry.event)
            if events and size > PAGE_BYTES:
                break
            events.append(entry.event)
            self.position = entry.seq
        return b"".join(events)

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

    def leave(self) -> None:
        """It is over."""
        self.over = True
        self._broadcast.drop(self)
        self.wake()
