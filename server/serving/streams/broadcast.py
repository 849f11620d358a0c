"""Sends new changes to thousands of event streams: the newest in memory, a position for each.

New changes are read once per process. Only followers that are behind the changes in memory are
served from the database.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from server.catalog.journal import JournalEntry, JournalPage, Place
from server.config.memory_budget import DEFAULT
from server.serving.streams.audience import MAX_PER_CLIENT, Audience
from server.serving.streams.follower import Follower
from server.serving.streams.ring import Ring
from server.tasks import SingleFlight, attempt, attempt_now

HELD = 1000  # changes
LISTENER_BYTES = 18_000  # of memory for a follower, its connection and request included
MAX_FOLLOWERS = DEFAULT.listeners // LISTENER_BYTES  # followers
PAGE = 100  # changes that are sent to a follower at once, from memory or the database
BATCH = 100  # followers that are woken before the event loop runs other work

Read = Callable[[int, int], Awaitable[JournalPage]]
ReadLatest = Callable[[int], Awaitable[JournalPage]]

log = structlog.get_logger()


class Broadcast:
    """Sends changes to up to `max_followers` followers, at most `max_per_client` of each client.

    `read(after, limit)` reads changes in order, `read_latest(limit)` the newest ones. Up to `held`
    changes stay in memory, in up to `max_bytes`. Call `refresh` whenever new changes may exist.
    `ring` is replaced if the journal is, as after a database was restored; then `on_replaced` is
    awaited.
    """

    def __init__(
        self,
        read: Read,
        read_latest: ReadLatest,
        held: int = HELD,
        max_followers: int = MAX_FOLLOWERS,
        max_bytes: int = DEFAULT.ring,
        max_per_client: int = MAX_PER_CLIENT,
        on_replaced: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._read = read
        self._read_latest = read_latest
        self._held = held
        self._max_bytes = max_bytes
        self._on_replaced = on_replaced
        self.ring: Ring | None = None
        self._audience = Audience(max_followers, max_per_client)
        self._waiting: dict[Follower, None] = {}
        self._pages = SingleFlight[JournalPage]()
        self._refreshing = asyncio.Lock()
        self._paging = asyncio.Lock()
        self._closed = False

    @property
    def listeners(self) -> int:
        """The number of followers."""
        return len(self._audience)

    def quota_headers(self, client: str) -> dict[str, str]:
        """Return the headers that say how many more streams a client may have."""
        return self._audience.quota_headers(client)

    async def refresh(self) -> None:
        """Read new changes and wake the followers that wait for them. Raises DatabaseError."""
        async with self._refreshing:
            if self.ring is None:
                self.ring = await self._latest()
            # Changes become visible in order (see `storage.changes`), so none is missed.
            while await self._go_on(self.ring):
                pass

    async def _latest(self) -> Ring:
        return Ring(await self._read_latest(self._held), self._held, self._max_bytes)

    async def _go_on(self, ring: Ring) -> bool:
        """Read the newest known entry again and those after it; return whether to read on."""
        limit = self._held // 2
        page = await self._read(ring.newest - 1, limit + 1)
        new = 0
        if ring.continues(page):
            new = ring.add(page)
        else:
            self.ring = await self._latest()
            log.warning("journal_replaced", newest=ring.newest, newest_now=self.ring.newest)
            if self._on_replaced is not None:
                await attempt(self._on_replaced)
        if new or ring is not self.ring:
            await self._wake()
        return new >= limit

    async def _wake(self) -> None:
        for number, follower in enumerate(tuple(self._waiting), 1):
            attempt_now(follower.wake, None)
            if number % BATCH == 0:
                await asyncio.sleep(0)

    async def follow(
        self, after: Place | None, *, client: str = "", unnamed: bool = False
    ) -> Follower:
        """Add a follower that receives the changes after a place, or (None) those from now on.

        `client` is the network whose limit it counts towards; `unnamed` events have no `event`
        line. Raises TooManyOfOneClient, TooManyListeners, or a DatabaseError if no change has been
        read yet and none can be.
        """
        if self.ring is None:
            await self.refresh()
        self._audience.check(client)
        if after is None:
            after = self.ring.place if self.ring else Place(0)
        follower = Follower(self, after, client=client, unnamed=unnamed)
        self._audience.add(follower)
        if self._closed:
            follower.leave()
        return follower

    async def page(self, after: Place) -> Sequence[JournalEntry]:
        """Return the next changes after a place, or a reset if the journal does not reach there.

        A place that is not known in memory is looked up in the database, because another process
        may have sent changes that this one has not read yet. Raises DatabaseError.
        """
        if self.ring is not None and self.ring.knows(after):
            return self.ring.after(after.seq, PAGE)
        page = await self._pages.do(after.seq, lambda: self._read_page(after.seq))
        return page.entries if page.follows(after) else [JournalEntry.reset(page.reach)]

    async def _read_page(self, after: int) -> JournalPage:
        async with self._paging:  # one thread at a time, so that others can use the database
            return await self._read(after, PAGE)

    def add_waiting(self, follower: Follower) -> None:
        """Wake a follower when new changes arrive."""
        self._waiting[follower] = None

    def remove_waiting(self, follower: Follower) -> None:
        """Stop waking a follower."""
        self._waiting.pop(follower, None)

    def drop(self, follower: Follower) -> None:
        """Remove a follower that has disconnected."""
        self._audience.remove(follower)

    def shed(self, count: int) -> int:
        """End up to `count` streams of the clients that have the most; return how many ended."""
        return self._audience.shed(count)

    def close(self) -> None:
        """End all streams, also those opened later; clients resume on another process."""
        self._closed = True
        for follower in self._audience:
            attempt_now(follower.leave, None)
        self._pages.cancel()
