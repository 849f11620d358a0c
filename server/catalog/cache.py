"""Answers ready to send: a snapshot in memory and a TTL cache of payloads made from it.

Requests never wait for the database. A sync replaces snapshot and payloads together, the new ones
warm already; when the time to live runs out without one, the old answers are served while a new
snapshot is read, and for as long as the database cannot be reached.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog
from cachetools import LRUCache, TLRUCache

from server.catalog import payload as payloads
from server.catalog import query as queries
from server.catalog.payload import Payload
from server.catalog.query import ArtistsQuery, ReleaseQuery
from server.catalog.report import announced
from server.catalog.snapshot import Freshness, Snapshot
from server.errors import NothingThere, NothingYet
from server.instruments import CacheTally

Found = tuple[bytes, Freshness]

MAX_BYTES = 32 * 1024 * 1024
MAX_SPELLINGS = 4096
MAX_DAYS = 4  # of days gone by, whose releases are held at once
WARMED = 16  # payloads made anew at once after a sync, those asked for most; and the default
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
        self._load_day = load_day
        self._compute = compute
        self._ttl = ttl
        self._max_age = max_age
        self._root = root
        self._interval = interval
        self._now = now
        self._timer = timer
        self._snapshot: Snapshot | None = None
        self._reload_at = 0.0
        self._payloads = self._empty()
        self._spellings: LRUCache[tuple[str, str], str] = LRUCache(MAX_SPELLINGS)
        self._days: LRUCache[str, Snapshot] = LRUCache(MAX_DAYS)
        self._asked: Counter[str] = Counter()
        self._building: dict[tuple[int, str], asyncio.Task[Payload]] = {}
        self._refreshing = asyncio.Lock()
        self._background: set[asyncio.Task[None]] = set()

    @property
    def snapshot(self) -> Snapshot | None:
        """What is served now; None before the first was read."""
        return self._snapshot

    def peek(self, path: str, query_string: str) -> Payload | None:
        """The warm path: the payload of a raw query string if it is ready, by two look-ups."""
        href = self._spellings.get((path, query_string))
        if href is None:
            return None
        if href in self._asked or len(self._asked) < MAX_SPELLINGS:
            self._asked[href] += 1
        payload = self._payloads.get(href)
        if payload is not None:
            self._tally.hits.inc()
        return payload

    async def get(self, kind: type[ReleaseQuery], query_string: str) -> Payload:
        """The payload of a raw query string, made if it is not ready; concurrent callers share it.

        Raises InvalidParameters, UriTooLong, NothingYet before the first successful sync, and a
        DatabaseError if a day gone by has to be read and cannot.
        """
        query = queries.parse(kind, query_string)
        href = query.href
        payload = self._found(href)
        if payload is None:
            payload = await self._made(query, href)
        self._spellings[kind.path, query_string] = href
        if len(self._asked) < MAX_SPELLINGS:
            self._asked[href] += 1
        return payload

    async def single(self, path: str, load: Callable[[], Awaitable[Found | None]]) -> Payload:
        """The payload of one object, by its address; `load` reads its JSON from the database.

        Raises NothingThere if that finds nothing, or a DatabaseError.
        """
        payload = self._found(path)
        if payload is None:
            snapshot, found = self._snapshot, await load()
            if found is None:
                raise NothingThere("Nothing that is kept has this id.")
            payload = await self._compute(payloads.seal, *found, self._max_age, payloads.LINK)
            self._tally.builds.inc()
            if snapshot is self._snapshot:
                self._keep(path, payload)
        return payload

    def _found(self, href: str) -> Payload | None:
        payload = self._payloads.get(href)
        (self._tally.misses if payload is None else self._tally.hits).inc()
        return payload

    async def refresh(self) -> None:
        """Read a new snapshot, make what is in demand anew, and replace all at once.

        Raises DatabaseUnavailable; what was served before stays.
        """
        async with self._refreshing:
            snapshot = await self._load()
            stale = self.is_stale(snapshot)
            wanted: dict[str, ReleaseQuery] = {ArtistsQuery().href: ArtistsQuery()}
            for href, _ in self._asked.most_common(WARMED):
                query = queries.of_href(href)
                if query.at is None:
                    wanted.setdefault(href, query)
            made = {}
            if snapshot.freshness.synced_at is not None:
                made = await self._compute(self._build_all, snapshot, wanted, stale)
            self._snapshot = snapshot
            self._days.clear()
            self._reload_at = self._timer() + self._ttl
            self._payloads = self._empty()
            for href, payload in made.items():
                self._keep(href, payload)
            self._asked.clear()
            self._spellings[ArtistsQuery.path, ""] = ArtistsQuery().href
        log.info("cache_invalidated", releases=len(snapshot.albums), warmed=len(made))

    def is_stale(self, snapshot: Snapshot) -> bool:
        """Whether no sync was complete for three intervals; never where syncing is off."""
        stale_after = STALE_AFTER * self._interval()
        if not stale_after:
            return False
        complete_at = snapshot.freshness.complete_at
        return complete_at is None or self._now() - complete_at > stale_after

    async def _made(self, query: ReleaseQuery, href: str) -> Payload:
        snapshot = self._snapshot
        if snapshot is None or snapshot.freshness.synced_at is None:
            raise NothingYet
        if self._timer() >= self._reload_at:
            self._reload_in_background()
        key = (id(snapshot), href)  # what an older snapshot gives would go back in time
        task = self._building.get(key)
        if task is None:
            task = asyncio.create_task(self._build(snapshot, query, href))
            self._building[key] = task
            task.add_done_callback(lambda _: self._building.pop(key, None))
        return await asyncio.shield(task)

    async def _build(self, snapshot: Snapshot, query: ReleaseQuery, href: str) -> Payload:
        stale = self.is_stale(snapshot)
        shown = snapshot if query.at is None else await self._day(query.at, snapshot)
        made = await self._compute(self._build_all, shown, {href: query}, stale)
        if snapshot is self._snapshot:
            self._keep(href, made[href])
        payload: Payload = made[href]
        return payload

    async def _day(self, day: str, snapshot: Snapshot) -> Snapshot:
        """The releases of a day gone by, read once; as fresh as what is served now."""
        if day not in self._days:
            read = await self._load_day(day)
            if snapshot is self._snapshot:
                self._days[day] = read
            return read
        return self._days[day]

    def _build_all(
        self, snapshot: Snapshot, wanted: dict[str, ReleaseQuery], stale: bool
    ) -> dict[str, Payload]:
        make = partial(payloads.build, stale=stale, max_age=self._max_age, root=self._root)
        self._tally.builds.inc(len(wanted))
        return {href: make(snapshot, query) for href, query in wanted.items()}

    def _keep(self, href: str, payload: Payload) -> None:
        if payload.size <= MAX_BYTES:
            self._payloads[href] = payload

    def _empty(self) -> "TLRUCache[str, Payload]":
        return TLRUCache(MAX_BYTES, self._expiry, self._timer, getsizeof=lambda each: each.size)

    def _expiry(self, _href: str, _payload: Payload, now: float) -> float:
        """When the snapshot is due to be read again, or when the answer turns stale if sooner."""
        expiry = min(now + self._ttl, self._reload_at)
        complete_at = self._snapshot.freshness.complete_at if self._snapshot else None
        stale_after = STALE_AFTER * self._interval()
        if complete_at and stale_after:
            left = (complete_at + stale_after - self._now()).total_seconds()
            if left > 0:
                expiry = min(expiry, now + left)
        return expiry

    def _reload_in_background(self) -> None:
        self._reload_at = self._timer() + RETRY_SECONDS
        task = asyncio.create_task(announced(self.refresh))
        self._background.add(task)
        task.add_done_callback(self._background.discard)
