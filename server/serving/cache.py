"""The payload cache: a snapshot in memory and a TTL cache of the responses built from it.

Each content coding of a response is built on its first request and stored separately. The same
query, data and coding give the same bytes in every process, whatever was requested before.

Requests for current data never wait for the database. A sync replaces the snapshot and the
responses together, after the popular ones have been rebuilt. If the time to live ends without a
sync, the old responses are served while a new snapshot is read, and for as long as the database
cannot be reached.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import nullcontext
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

import structlog

from server.catalog import query as queries
from server.catalog.lifetime import REVALIDATE, Clocks
from server.catalog.query import AnyQuery, ArtistsQuery, Portion, ReleaseQuery
from server.catalog.snapshot import Found, Snapshot, freshness_of
from server.config.memory_budget import DEFAULT, MemoryBudget
from server.database.admission import Admission
from server.errors import NoDataYet, NotFound
from server.observability.instruments import CacheTally
from server.observability.omissions import Omissions
from server.serving import payload as payloads
from server.serving.hot_queries import HotQueries
from server.serving.pages import Listing
from server.serving.payload import CODINGS, Coding, Representation
from server.serving.portions import Portions
from server.serving.readings import Readings
from server.serving.response_builder import ResponseBuilder
from server.serving.response_store import Key, ResponseStore, StoredResponse
from server.tasks import SingleFlight, Tasks, attempt

Load = Callable[[], Awaitable[Found | None]]

WARMED = 16  # most requested responses, rebuilt in all codings after a sync beside the default one
RETRY_SECONDS = 5.0

log = structlog.get_logger()


class PayloadCache:
    """Cache of serialised payloads, replaced as a whole by each sync.

    `load` reads the current snapshot, `load_portion` another part of the catalogue; `compute` runs
    a function off the event loop. `ttl`, `max_age` and `timer` are in seconds; `interval` returns
    the time between syncs, zero if they are off; `root` is the URL of this server; `readings` are
    the pages that memory does not have.
    """

    def __init__(
        self,
        load: Callable[[], Awaitable[Snapshot]],
        load_portion: Callable[[Portion], Awaitable[Snapshot]],
        compute: Callable[..., Awaitable[Any]],
        *,
        ttl: float,
        max_age: int,
        root: str = "",
        interval: Callable[[], timedelta],
        now: Callable[[], datetime],
        timer: Callable[[], float],
        tally: CacheTally | None = None,
        memory: MemoryBudget = DEFAULT,
        admission: Admission | None = None,
        readings: Readings,
    ) -> None:
        self._admission = admission = admission or Admission(memory.waiting)
        self._tally = tally or CacheTally()
        self._load, self._compute = load, compute
        self.portions = Portions(load_portion, memory.portions, admission)
        self._ttl, self._max_age, self._root = ttl, max_age, root
        self.omissions = Omissions()
        self.readings = readings
        cursor = readings.cursors.make
        self._builder = ResponseBuilder(max_age, root, self._tally, self.omissions, cursor)
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
        """The snapshot that is served; None before the first was read."""
        return self._snapshot

    def peek(self, path: str, query_string: str, coding: Coding) -> Representation | None:
        """Return the stored response to a raw query string, if any: two look-ups, no parsing."""
        href = self.hot_queries.find(path, query_string)
        ready = None if href is None else self.responses.get((href, coding))
        if ready is not None:
            self._tally.hits.inc()
        return ready

    async def get(
        self, kind: type[ReleaseQuery], query_string: str, coding: Coding
    ) -> Representation:
        """Return the response to a raw query string; build it if it is not stored.

        Raises InvalidParameters, UriTooLong, NoDataYet before the first successful sync,
        Overloaded, or a DatabaseError if a portion has to be read and cannot be.
        """
        query = self.parse(kind, query_string)
        href = query.href
        if query.cursor is not None:  # stored nowhere: a client that reads all asks for each once
            return await self._build_shared(query, (href, coding))
        ready = self._found((href, coding))
        if ready is None:
            ready = await self._build_shared(query, (href, coding))
        self.hot_queries.record_hit(kind.path, query_string, href)
        return ready

    def parse(self, kind: type[AnyQuery], query_string: str) -> AnyQuery:
        """Parse a raw query string; days without stored data are refused.

        Raises InvalidParameters or UriTooLong.
        """
        since = freshness_of(self._snapshot).watched_since
        return queries.parse(kind, query_string, self._now(), since)

    async def build_unshared(
        self, snapshot: Snapshot, query: ReleaseQuery, coding: Coding, readings: Readings
    ) -> Representation:
        """Build the response to a query from another snapshot; it is stored nowhere.

        Raises InvalidParameters for a bad cursor, Overloaded or a DatabaseError.
        """
        context = self._clocks.context(snapshot.freshness.complete_at, self._reload_at)
        build = partial(self._builder.build_private, snapshot, query, coding, context)
        cursor = readings.cursors.make
        with self._admission.enter():
            built: StoredResponse = await readings.page(
                query, context.now, lambda start: self._compute(build, cursor, start)
            )
        return built.ready

    async def select(self, snapshot: Snapshot, query: ReleaseQuery) -> Listing:
        """Return the page that a query selects, which may be beyond `snapshot`.

        Raises InvalidParameters for a bad cursor, Overloaded or a DatabaseError.
        """
        return await self.readings.select(snapshot, query, self._now(), self._admission)

    async def get_object(self, path: str, coding: Coding, load: Load) -> Representation:
        """Return the response with one object by its path; `load` reads its JSON from the database.

        Raises NotFound if `load` returns None, Overloaded, or a DatabaseError.
        """
        key = path, coding
        return self._found(key) or await self._shared(key, lambda: self._loaded(key, load))

    async def _loaded(self, key: Key, load: Load) -> Representation:
        snapshot, found = self._snapshot, await load()
        if found is None:
            raise NotFound("No artist or release with this id.")
        keep = self._max_age, REVALIDATE
        payload = payloads.with_headers(*found, keep, payloads.links(self._root))
        ready: Representation = await self._compute(payload.encoded, key[1])
        self._tally.builds.inc()
        if snapshot is self._snapshot:
            self.responses.put(key, StoredResponse(ready, self._reload_at))
        return ready

    def _found(self, key: Key) -> Representation | None:
        ready = self.responses.get(key)
        (self._tally.misses if ready is None else self._tally.hits).inc()
        return ready

    async def refresh(self) -> None:
        """Read a new snapshot, rebuild the popular responses, and replace everything at once.

        A response that cannot be built is logged (`answer_failed`) and dropped; the others are
        replaced all the same. Raises what `load` raises, such as DatabaseUnavailable; then the old
        snapshot and responses stay in use.
        """
        async with self._refreshing:
            snapshot = await self._load()
            self.omissions.clear()
            reload_at = self._timer() + self._ttl
            made = await self._warmed(snapshot, reload_at)
            self._snapshot, self._reload_at = snapshot, reload_at
            self.portions.clear()
            self.responses.clear()
            self._warm_until = self.responses.fill(made)
            self.hot_queries.clear()
            self.hot_queries.learn(ArtistsQuery.path, "", ArtistsQuery().href)
        log.info(
            "cache_invalidated", releases=len(snapshot.albums), warmed=len(made) // len(CODINGS)
        )

    async def tick(self) -> None:
        """Rebuild the popular responses when they expire before the snapshot; call it every second.

        So the first request of a day (UTC) finds its response ready, without a database query.
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

    async def _warmed(self, snapshot: Snapshot, good_until: float) -> dict[Key, StoredResponse]:
        """Build the default response and the most requested ones in all codings; no portions."""
        context = self._clocks.context(snapshot.freshness.complete_at, good_until)
        self._warm_on = context.now.date()
        if snapshot.freshness.synced_at is None:
            return {}
        popular = dict.fromkeys((ArtistsQuery().href, *self.hot_queries.most_common(WARMED)))
        built: dict[Key, StoredResponse] = {}
        try:
            built = await self._compute(self._builder.build_all, snapshot, popular, context)
        except Exception:  # each is built on its next request
            log.exception("answer_failed", href=None)
        return built

    def is_stale(self) -> bool:
        """Return whether the data served is stale: no sync was complete for three intervals.

        False before the first snapshot, and where syncing is off.
        """
        snapshot = self._snapshot
        return snapshot is not None and self._clocks.is_stale(snapshot.freshness.complete_at)

    async def snapshot_for(self, portion: Portion | None) -> Snapshot:
        """Return the current snapshot, or a portion.

        Raises NoDataYet, Overloaded or a DatabaseError, as `get` does.
        """
        served = self._served()
        return served if portion is None else await self.portions.read(portion)

    def _served(self) -> Snapshot:
        """Return the current snapshot; start to read a new one if its time to live has ended."""
        snapshot = self._snapshot
        if snapshot is None or snapshot.freshness.synced_at is None:
            raise NoDataYet
        if self._timer() >= self._reload_at:
            self._reload_in_background()
        return snapshot

    async def _build_shared(self, query: ReleaseQuery, key: Key) -> Representation:
        snapshot = self._served()
        return await self._shared(key, lambda: self._build(snapshot, query, key))

    async def _shared(
        self, key: Key, make: Callable[[], Coroutine[Any, Any, Representation]]
    ) -> Representation:
        """Build a response once for all requests that wait for it. Raises Overloaded."""
        whose = (id(self._snapshot), key)  # a response from an older snapshot would be out of date
        with self._admission.enter():
            return await self._building.do(whose, make)

    async def _build(self, snapshot: Snapshot, query: ReleaseQuery, key: Key) -> Representation:
        context = self._clocks.context(snapshot.freshness.complete_at, self._reload_at)
        portion = query.portion
        in_memory = portion is None or query.cursor is None or portion in self.portions
        is_open = portion is not None and in_memory
        source = self.portions.open(portion) if is_open and portion else nullcontext(snapshot)
        async with source as shown:
            build = partial(self._compute, self._builder.build_one, shown, query, key[1], context)
            built: StoredResponse = await self.readings.page(
                query, context.now, build, in_memory=in_memory
            )
        is_current = snapshot is self._snapshot and context.now.date() == self._warm_on
        if is_current and query.cursor is None:
            self.responses.put(key, built)
        return built.ready

    def _reload_in_background(self) -> None:
        self._reload_at = self._timer() + RETRY_SECONDS
        self._background.spawn(attempt(self.refresh))
