"""Changes as they come, for thousands of listeners: the last ones in memory, a position for each.

What is new is read once a process. Only listeners behind it are served from the database.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from server.catalog.entry import Entry, Piece
from server.catalog.ring import Ring
from server.errors import DatabaseError
from server.refusals import TooManyListeners
from server.tasks import attempt_now

HELD = 1000  # changes
MOST = 10_000  # listeners
PAGE = 100  # changes that a listener is told at once, from memory or the database
PAGE_BYTES = 64 * 1024  # and so many bytes, unless one alone has more
BATCH = 100  # listeners that are woken before other work has its turn

Read = Callable[[int, int], Awaitable[Piece]]
ReadLatest = Callable[[int], Awaitable[Piece]]

log = structlog.get_logger()


class Broadcast:
    """`read(after, limit)` reads changes in order, `read_latest(limit)` the last of all.

    `held` are kept for up to `most` listeners. `feed` is to be called whenever there may be more.
    There is another `ring` when the journal is another one, as in a database that was restored.
    """

    def __init__(
        self, read: Read, read_latest: ReadLatest, held: int = HELD, most: int = MOST
    ) -> None:
        self._read = read
        self._read_latest = read_latest
        self._held = held
        self._most = most
        self.ring: Ring | None = None
        self._followers: set[Follower] = set()
        self._waiting: dict[Follower, None] = {}
        self._pages: dict[int, asyncio.Task[Piece]] = {}
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
            if self.ring is None:
                self.ring = Ring(await self._read_latest(self._held), self._held)
            # After the newest that was seen comes nothing older (see `journal`): nothing is missed.
            while await self._go_on(self.ring):
                pass

    async def _go_on(self, ring: Ring) -> bool:
        """Read what comes after the newest entry, and that entry again; whether there is more."""
        limit = self._held // 2
        piece = await self._read(ring.newest - 1, limit + 1)
        new = 0
        if ring.continues(piece):
            new = ring.add(piece)
        else:
            self.ring = Ring(await self._read_latest(self._held), self._held)
            log.warning("journal_replaced", newest=ring.newest, newest_now=self.ring.newest)
        if new or ring is not self.ring:
            await self._wake()
        return new >= limit

    async def _wake(self) -> None:
        for number, follower in enumerate(tuple(self._waiting), 1):
            attempt_now(follower.wake, None)
            if number % BATCH == 0:
                await asyncio.sleep(0)

    async def follow(self, after: int | None, *, unnamed: bool = False) -> "Follower":
        """Begin to follow after a seq, or with what comes from now on; events may be `unnamed`.

        Raises TooManyListeners, or a DatabaseError if nothing has been read yet and cannot be.
        """
        if self.ring is None:
            await self.feed()
        if len(self._followers) >= self._most:
            raise TooManyListeners
        if after is None:
            after = self.ring.newest if self.ring else 0
        follower = Follower(self, after, unnamed=unnamed)
        self._followers.add(follower)
        if self._closed:
            follower.leave()
        return follower

    async def page(self, after: int) -> Sequence[Entry]:
        """Return what comes next after a seq, or a reset if that is out of reach.

        Only the database knows what is: another process may have told of changes that have not been
        read here yet. Raises DatabaseError.
        """
        if self.ring is not None and self.ring.covers(after):
            return self.ring.after(after, PAGE)
        piece = await asyncio.shield(self._page_elsewhere(after))
        return piece.entries if piece.reach.holds(after) else [Entry.reset(piece.reach)]

    def _page_elsewhere(self, after: int) -> "asyncio.Task[Piece]":
        """Whoever asks for the same page at the same time shares it."""
        if after not in self._pages:
            self._pages[after] = task = asyncio.create_task(self._read_page(after))
            task.add_done_callback(lambda task: self._read_has_ended(after, task))
        return self._pages[after]

    async def _read_page(self, after: int) -> Piece:
        async with self._paging:  # one thread at a time, for others need the database too
            return await self._read(after, PAGE)

    def _read_has_ended(self, after: int, task: "asyncio.Task[Piece]") -> None:
        del self._pages[after]
        if not task.cancelled():
            task.exception()  # it is no loss if all who wanted to know are gone

    def await_news(self, follower: "Follower") -> None:
        """Wake a follower when there is more."""
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

    __slots__ = ("_broadcast", "_ring", "_sleep", "_unnamed", "over", "position")

    def __init__(self, broadcast: Broadcast, position: int, *, unnamed: bool = False) -> None:
        self._broadcast = broadcast
        self._ring = broadcast.ring
        self._unnamed = unnamed
        self._sleep: asyncio.Future[None] | None = None
        self.position = position
        self.over = False

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

    def leave(self) -> None:
        """It is over."""
        self.over = True
        self._broadcast.drop(self)
        self.wake()
