"""Answers ready to send: a snapshot in memory and a TTL cache of what was made from it.

Each coding of an answer is made when it is first asked for, and kept by itself. The same query,
data and coding give the same bytes in every process, whatever was asked before.

Requests never wait for the database. A sync replaces snapshot and payloads together, the new ones
warm already; when the time to live runs out without one, the old answers are served while a new
snapshot is read, and for as long as the database cannot be reached.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import nullcontext
from datetime import date, datetime, timedelta
from typing import Any

import structlog

from server.catalog import query as queries
from server.catalog.lifetime import REVALIDATE, Clocks
from server.catalog.query import ArtistsQuery, ReleaseQuery
from server.catalog.snapshot import Freshness, Snapshot, known_days
from server.config.memory_budget import DEFAULT, Budget
from server.database.admission import Admission
from server.errors import NothingThere, NothingYet
from server.observability.instruments import CacheTally
from server.observability.omissions import Omissions
from server.serving import payload as payloads
from server.serving.builder import Builder
from server.serving.hot_queries import HotQueries
from server.serving.past_days import PastDays
from server.serving.payload import CODINGS, Coding, Representation
from server.serving.response_store import Kept, Key, ResponseStore
from server.serving.single_flight import SingleFlight
from server.tasks import Tasks, attempt

Found = tuple[bytes, Freshness]
Load = Callable[[], Awaitable[Found | None]]

WARMED = 16  # answers made anew in all codings after a sync, those asked for most; and the default
RETRY_SECONDS = 5.0

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
        memory: Budget = DEFAULT,
        admission: Admission | None = None,
    ) -> None:
        self._admission = admission = admission or Admission(memory.waiting)
        self._tally = tally or CacheTally()
        self._load, self._compute = load, compute
        self.days = PastDays(load_day, memory.days, admission)
        self._ttl, self._max_age, self._root = ttl, max_age, root
        self.omissions = Omissions()
        self._builder = Builder(max_age, root, self._tally, self.omissions)
        self._clocks = Clocks(now, timer, interval)
        self._now, self._timer = now, timer
        self._snapshot: Snapshot | None = None
        self._reload_at = 0.0
        self._warm_on: date | None = None
        self._warm_until = math.inf
        self.responses = ResponseStore(timer, memory.responses)
        self.hot_queries = HotQueries(memory.hot_queries)
        self._building = SingleFlight[Representation]()
        self._refreshing = asyncio.Lock()
        self._background = Tasks()

    @property
    def snapshot(self) -> Snapshot | None:
        """What is served now; None before the first was read."""
        return self._snapshot

    def peek(self, path: str, query_string: str, coding: Coding) -> Representation | None:
        """The warm path: the answer to a raw query string if it is ready, by two look-ups."""
        href = self.hot_queries.find(path, query_string)
        ready = None if href is None else self.responses.get((href, coding))
        if ready is not None:
            self._tally.hits.inc()
        return ready

    async def get(
        self, kind: type[ReleaseQuery], query_string: str, coding: Coding
    ) -> Representation:
        """The answer to a raw query string, made if it is not ready.

        Raises InvalidParameters, UriTooLong, NothingYet before the first successful sync,
        Overloaded, and a DatabaseError if a day gone by has to be read and cannot.
        """
        query = queries.parse(kind, query_string, *known_days(self._snapshot, self._now()))
        href = query.href
        ready = self._found((href, coding))
        if ready is None:
            ready = await self._made(query, (href, coding))
        self.hot_queries.record_hit(kind.path, query_string, href)
        return ready

    async def single(self, path: str, coding: Coding, load: Load) -> Representation:
        """One object by its address; `load` reads its JSON from the database.

        Raises NothingThere if that finds nothing, Overloaded, or a DatabaseError.
        """
        key = path, coding
        return self._found(key) or await self._shared(key, lambda: self._loaded(key, load))

    async def _loaded(self, key: Key, load: Load) -> Representation:
        snapshot, found = self._snapshot, await load()
        if found is None:
            raise NothingThere("No artist or release with this id.")
        keep = self._max_age, REVALIDATE
        payload = payloads.seal(*found, keep, payloads.links(self._root))
        ready: Representation = await self._compute(payload.coded, key[1])
        self._tally.builds.inc()
        if snapshot is self._snapshot:
            self.responses.keep(key, Kept(ready, self._reload_at))
        return ready

    def _found(self, key: Key) -> Representation | None:
        ready = self.responses.get(key)
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
            self.omissions.clear()
            reload_at = self._timer() + self._ttl
            made = await self._warmed(snapshot, reload_at)
            self._snapshot, self._reload_at = snapshot, reload_at
            self.days.clear()
            self.responses.clear()
            self._warm_until = self.responses.fill(made)
            self.hot_queries.clear()
            self.hot_queries.learn(ArtistsQuery.path, "", ArtistsQuery().href)
        log.info(
            "cache_invalidated", releases=len(snapshot.albums), warmed=len(made) // len(CODINGS)
        )

    async def tick(self) -> None:
        """Make what is in demand anew when it ends before the data does; to be called each second.

        So the first request of a day (UTC) finds its answer ready, and no database is asked.
        """
        snapshot, another_day = self._snapshot, self._now().date() != self._warm_on
        is_over = another_day or self._warm_until <= self._timer() < self._reload_at
        if snapshot is None or not is_over or self._refreshing.locked():
            return
        async with self._refreshing:
            made = await self._warmed(snapshot, self._reload_at)
            if another_day:
                self.responses.clear()
            self._warm_until = self.responses.fill(made)

    async def _warmed(self, snapshot: Snapshot, good_until: float) -> dict[Key, Kept]:
        """The default answer and those in demand, but for days gone by, in all codings."""
        occasion = self._clocks.occasion(snapshot.freshness.complete_at, good_until)
        self._warm_on = occasion.now.date()
        if snapshot.freshness.synced_at is None:
            return {}
        wanted = dict.fromkeys((ArtistsQuery().href, *self.hot_queries.most(WARMED)))
        made: dict[Key, Kept] = {}
        try:
            made = await self._compute(self._builder.all, snapshot, wanted, occasion)
        except Exception:  # each is made when it is asked for
            log.exception("answer_failed", href=None)
        return made

    def is_stale(self) -> bool:
        """Return whether the data served is stale: no sync was complete for three intervals.

        False before the first snapshot, and where syncing is off.
        """
        snapshot = self._snapshot
        return snapshot is not None and self._clocks.is_stale(snapshot.freshness.complete_at)

    async def shown(self, day: str | None) -> Snapshot:
        """What is served now, or was listed on a day. Raises as `get` does."""
        served = self._served()
        return served if day is None else await self.days.read(day)

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
        return await self._shared(key, lambda: self._build(snapshot, query, key))

    async def _shared(
        self, key: Key, make: Callable[[], Coroutine[Any, Any, Representation]]
    ) -> Representation:
        """Make an answer once for all requests that wait for it. Raises Overloaded."""
        whose = (id(self._snapshot), key)  # what an older snapshot gives would go back in time
        with self._admission.enter():
            return await self._building.do(whose, make)

    async def _build(self, snapshot: Snapshot, query: ReleaseQuery, key: Key) -> Representation:
        day = nullcontext(snapshot) if query.at is None else self.days.open(query.at)
        async with day as shown:
            occasion = self._clocks.occasion(snapshot.freshness.complete_at, self._reload_at)
            kept: Kept = await self._compute(self._builder.one, shown, query, key[1], occasion)
        if snapshot is self._snapshot and occasion.now.date() == self._warm_on:
            self.responses.keep(key, kept)
        return kept.ready

    def _reload_in_background(self) -> None:
        self._reload_at = self._timer() + RETRY_SECONDS
        self._background.spawn(attempt(self.refresh))
