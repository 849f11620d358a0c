"""Answers ready to send: a snapshot in memory and a TTL cache of what was made from it.

Each coding of an answer is made when it is first asked for, and kept by itself. The same query,
data and coding give the same bytes in every process, whatever was asked before.

Requests never wait for the database. A sync replaces snapshot and payloads together, the new ones
warm already; when the time to live runs out without one, the old answers are served while a new
snapshot is read, and for as long as the database cannot be reached.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import structlog

from server.catalog import payload as payloads
from server.catalog import query as queries
from server.catalog.builder import Builder
from server.catalog.days import Days
from server.catalog.demand import Demand
from server.catalog.omissions import Omissions
from server.catalog.payload import CODINGS, Coding, Representation
from server.catalog.query import ArtistsQuery, ReleaseQuery
from server.catalog.shelf import Key, Shelf
from server.catalog.snapshot import Freshness, Snapshot
from server.errors import NothingThere, NothingYet
from server.instruments import CacheTally
from server.tasks import attempt

Found = tuple[bytes, Freshness]

WARMED = 16  # answers made anew in all codings after a sync, those asked for most; and the default
RETRY_SECONDS = 5.0
STALE_AFTER = 3  # sync intervals without a complete sync

log = structlog.get_logger()


class PayloadCache:
    """`load` reads a snapshot, `load_day` that of a day gone by; `compute` works off the loop.

    `ttl` and `timer` are in seconds; `interval` tells how far apart syncs are, zero when there are
    none; `root` is the address of this server.
    """

    def __init__(
        self,
        load: Callable[[], Awaitable[Snapshot]],
        load_day: Callable[[str], Awaitable[Snapshot]],
        compute: Callable[..., Awaitable[Any]],
        *,
        ttl: float,
        max_age: int,
        root: str = "",
        interval: Callable[[], timedelta],
        now: Callable[[], datetime],
        timer: Callable[[], float],
        tally: CacheTally | None = None,
    ) -> None:
        self._tally = tally or CacheTally()
        self._load = load
        self._days = Days(load_day)
        self._compute = compute
        self._ttl = ttl
        self._max_age = max_age
        self._root = root
        self.omissions = Omissions()
        self._builder = Builder(max_age, root, self._tally, self.omissions)
        self._interval = interval
        self._now = now
        self._timer = timer
        self._snapshot: Snapshot | None = None
        self._reload_at = 0.0
        self.shelf = Shelf(timer, self._good_until)
        self.demand = Demand()
        self._building: dict[tuple[int, Key], asyncio.Task[Representation]] = {}
        self._refreshing = asyncio.Lock()
        self._background: set[asyncio.Task[None]] = set()

    @property
    def snapshot(self) -> Snapshot | None:
        """What is served now; None before the first was read."""
        return self._snapshot

    def peek(self, path: str, query_string: str, coding: Coding) -> Representation | None:
        """The warm path: the answer to a raw query string if it is ready, by two look-ups."""
        href = self.demand.find(path, query_string)
        ready = None if href is None else self.shelf.get((href, coding))
        if ready is not None:
            self._tally.hits.inc()
        return ready

    async def get(
        self, kind: type[ReleaseQuery], query_string: str, coding: Coding
    ) -> Representation:
        """The answer to a raw query string, made if it is not ready; concurrent callers share it.

        Raises InvalidParameters, UriTooLong, NothingYet before the first successful sync, and a
        DatabaseError if a day gone by has to be read and cannot.
        """
        query = queries.parse(kind, query_string, self._now().date())
        href = query.href
        ready = self._found((href, coding))
        if ready is None:
            ready = await self._made(query, (href, coding))
        self.demand.met(kind.path, query_string, href)
        return ready

    async def single(
        self, path: str, coding: Coding, load: Callable[[], Awaitable[Found | None]]
    ) -> Representation:
        """One object by its address; `load` reads its JSON from the database.

        Raises NothingThere if that finds nothing, or a DatabaseError.
        """
        ready = self._found((path, coding))
        if ready is None:
            snapshot, found = self._snapshot, await load()
            if found is None:
                raise NothingThere("Nothing that is kept has this id.")
            payload = payloads.seal(*found, self._max_age, payloads.links(self._root))
            ready = await self._compute(payload.coded, coding)
            self._tally.builds.inc()
            if snapshot is self._snapshot:
                self.shelf.keep((path, coding), ready)
        return ready

    def _found(self, key: Key) -> Representation | None:
        ready = self.shelf.get(key)
        (self._tally.misses if ready is None else self._tally.hits).inc()
        return ready

    async def refresh(self) -> None:
        """Read a new snapshot, make what is in demand anew, and replace all at once.

        An answer that cannot be made leaves the demand, is logged (`answer_failed`), and keeps no
        other from being replaced. Raises what reading raises, such as DatabaseUnavailable; what was
        served before stays.
        """
        async with self._refreshing:
            snapshot = await self._load()
            self.omissions.begin_anew()
            made = await self._warmed(snapshot)
            self._snapshot = snapshot
            self._days.begin_anew()
            self._reload_at = self._timer() + self._ttl
            self.shelf.begin_anew()
            for key, ready in made.items():
                self.shelf.keep(key, ready)
            self.demand.begin_anew()
            self.demand.learn(ArtistsQuery.path, "", ArtistsQuery().href)
        log.info(
            "cache_invalidated", releases=len(snapshot.albums), warmed=len(made) // len(CODINGS)
        )

    async def _warmed(self, snapshot: Snapshot) -> dict[Key, Representation]:
        """The default answer and those in demand, but for days gone by, in all codings."""
        if snapshot.freshness.synced_at is None:
            return {}
        wanted = dict.fromkeys((ArtistsQuery().href, *self.demand.most(WARMED)))
        made: dict[Key, Representation] = {}
        try:
            today, stale = self._now().date(), self.is_stale(snapshot)
            made = await self._compute(self._builder.all, snapshot, wanted, today, stale)
        except Exception:  # each is made when it is asked for
            log.exception("answer_failed", href=None)
        return made

    def is_stale(self, snapshot: Snapshot) -> bool:
        """Whether no sync was complete for three intervals; never where syncing is off."""
        stale_after = STALE_AFTER * self._interval()
        if not stale_after:
            return False
        complete_at = snapshot.freshness.complete_at
        return complete_at is None or self._now() - complete_at > stale_after

    async def shown(self, day: str | None) -> Snapshot:
        """What is served now, or was listed on a day. Raises NothingYet or a DatabaseError."""
        served = self._served()
        return served if day is None else await self._days.read(day)

    def _served(self) -> Snapshot:
        """What is served now; when its time is up, a new one is on its way."""
        snapshot = self._snapshot
        if snapshot is None or snapshot.freshness.synced_at is None:
            raise NothingYet
        if self._timer() >= self._reload_at:
            self._reload_in_background()
        return snapshot

    async def _made(self, query: ReleaseQuery, key: Key) -> Representation:
        snapshot = self._served()
        whose = (id(snapshot), key)  # what an older snapshot gives would go back in time
        task = self._building.get(whose)
        if task is None:
            task = asyncio.create_task(self._build(snapshot, query, key))
            self._building[whose] = task
            task.add_done_callback(lambda _: self._building.pop(whose, None))
        return await asyncio.shield(task)

    async def _build(self, snapshot: Snapshot, query: ReleaseQuery, key: Key) -> Representation:
        today, stale = self._now().date(), self.is_stale(snapshot)
        shown = snapshot if query.at is None else await self._days.read(query.at)
        ready: Representation = await self._compute(
            self._builder.one, shown, query, key[1], today, stale
        )
        if snapshot is self._snapshot:
            self.shelf.keep(key, ready)
        return ready

    def _good_until(self) -> float:
        """When the snapshot is due to be read again, or when answers turn stale if sooner."""
        complete_at = self._snapshot.freshness.complete_at if self._snapshot else None
        stale_after = STALE_AFTER * self._interval()
        if complete_at and stale_after:
            left = (complete_at + stale_after - self._now()).total_seconds()
            if left > 0:
                return min(self._reload_at, self._timer() + left)
        return self._reload_at

    def _reload_in_background(self) -> None:
        self._reload_at = self._timer() + RETRY_SECONDS
        task = asyncio.create_task(attempt(self.refresh))
        self._background.add(task)
        task.add_done_callback(self._background.discard)
