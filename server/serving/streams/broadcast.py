"""Changes as they come, for thousands of listeners: the last ones in memory, a position for each.

What is new is read once a process. Only listeners behind it are served from the database.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from server.catalog.change_event import Entry, Piece
from server.config.memory_budget import DEFAULT
from server.serving.single_flight import SingleFlight
from server.serving.streams.audience import MOST_OF_A_CLIENT, Audience
from server.serving.streams.follower import Follower
from server.serving.streams.ring import Ring
from server.tasks import attempt_now

HELD = 1000  # changes
LISTENER_BYTES = 18_000  # of memory for a listener, its connection and request included
MOST = DEFAULT.listeners // LISTENER_BYTES  # listeners
PAGE = 100  # changes that a listener is told at once, from memory or the database
BATCH = 100  # listeners that are woken before other work has its turn

Read = Callable[[int, int], Awaitable[Piece]]
ReadLatest = Callable[[int], Awaitable[Piece]]

log = structlog.get_logger()


class Broadcast:
    """`read(after, limit)` reads changes in order, `read_latest(limit)` the last of all.

    `held` are kept, or fewer in `most_bytes`, for up to `most` listeners. `feed` is to be called
    whenever there may be more. Each client has up to `most_of_a_client` of the listeners.
    There is another `ring` when the journal is another one, as in a database that was restored.
    """

    def __init__(
        self,
        read: Read,
        read_latest: ReadLatest,
        held: int = HELD,
        most: int = MOST,
        most_bytes: int = DEFAULT.ring,
        most_of_a_client: int = MOST_OF_A_CLIENT,
    ) -> None:
        self._read = read
        self._read_latest = read_latest
        self._held = held
        self._most_bytes = most_bytes
        self.ring: Ring | None = None
        self._audience = Audience(most, most_of_a_client)
        self._waiting: dict[Follower, None] = {}
        self._pages = SingleFlight[Piece]()
        self._feeding = asyncio.Lock()
        self._paging = asyncio.Lock()
        self._closed = False

    @property
    def listeners(self) -> int:
        """How many there are."""
        return len(self._audience)

    async def feed(self) -> None:
        """Read what is new and wake who waits for it. Raises DatabaseError."""
        async with self._feeding:
            if self.ring is None:
                self.ring = await self._latest()
            # After the newest that was seen comes nothing older (see `journal`): nothing is missed.
            while await self._go_on(self.ring):
                pass

    async def _latest(self) -> Ring:
        return Ring(await self._read_latest(self._held), self._held, self._most_bytes)

    async def _go_on(self, ring: Ring) -> bool:
        """Read what comes after the newest entry, and that entry again; whether there is more."""
        limit = self._held // 2
        piece = await self._read(ring.newest - 1, limit + 1)
        new = 0
        if ring.continues(piece):
            new = ring.add(piece)
        else:
            self.ring = await self._latest()
            log.warning("journal_replaced", newest=ring.newest, newest_now=self.ring.newest)
        if new or ring is not self.ring:
            await self._wake()
        return new >= limit

    async def _wake(self) -> None:
        for number, follower in enumerate(tuple(self._waiting), 1):
            attempt_now(follower.wake, None)
            if number % BATCH == 0:
                await asyncio.sleep(0)

    async def follow(
        self, after: int | None, *, client: str = "", unnamed: bool = False
    ) -> Follower:
        """Begin to follow after a seq, or with what comes from now on; events may be `unnamed`.

        `client` is the network that limits count for. Raises TooManyOfOneClient, TooManyListeners,
        or a DatabaseError if nothing has been read yet and cannot be.
        """
        if self.ring is None:
            await self.feed()
        self._audience.check(client)
        if after is None:
            after = self.ring.newest if self.ring else 0
        follower = Follower(self, after, client=client, unnamed=unnamed)
        self._audience.add(follower)
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
        piece = await self._pages.do(after, lambda: self._read_page(after))
        return piece.entries if piece.reach.holds(after) else [Entry.reset(piece.reach)]

    async def _read_page(self, after: int) -> Piece:
        async with self._paging:  # one thread at a time, for others need the database too
            return await self._read(after, PAGE)

    def await_news(self, follower: Follower) -> None:
        """Wake a follower when there is more."""
        self._waiting[follower] = None

    def await_nothing(self, follower: Follower) -> None:
        """Do not wake it any more."""
        self._waiting.pop(follower, None)

    def drop(self, follower: Follower) -> None:
        """Remove a follower that has left."""
        self._audience.remove(follower)

    def shed(self, count: int) -> int:
        """End up to `count` streams, those of the clients with most of them; tell how many."""
        return self._audience.shed(count)

    def close(self) -> None:
        """Send everybody away, also who comes later; they find their place again elsewhere."""
        self._closed = True
        for follower in self._audience:
            attempt_now(follower.leave, None)
        self._pages.cancel()
