"""The releases of each owner's own artists, in memory and as responses that no cache may store.

An owner is an account, or the server itself (None), which sees the artists of everybody.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace
from datetime import datetime
from typing import Any

from server.catalog.query import Portion, ReleaseQuery
from server.catalog.snapshot import Snapshot
from server.database.admission import Admission
from server.database.executor import Database
from server.errors import NoDataYet
from server.serving.cache import PayloadCache
from server.serving.lru import ByteLRU
from server.serving.pages import Listing
from server.serving.payload import Coding, Representation
from server.serving.readings import Readings
from server.storage import my_releases
from server.storage.my_releases import Mine
from server.tasks import SingleFlight

MOST_OWNERS = 8  # whose releases are in memory
MAX_CONCURRENT = 2  # owners whose releases are read at a time, and portions in use for owners
NAME_BYTES = 200  # of an artist in memory
PRIVATE = "private, no-store"


class MyReleases:
    """LRU cache of what owners see, for up to MOST_OWNERS of them and in up to `max_bytes`.

    It is dropped whenever `cache` replaces its responses, and by `forget`. `allowed` are the
    accounts that may log in, empty for all. `compute` runs a function off the event loop; `now` is
    the wall clock.
    """

    def __init__(
        self,
        database: Database,
        cache: PayloadCache,
        allowed: Collection[str],
        compute: Callable[..., Awaitable[Any]],
        now: Callable[[], datetime],
        max_bytes: int,
        admission: Admission,
    ) -> None:
        self._database, self._cache, self._compute, self._now = database, cache, compute, now
        self._max_bytes, self._admission, self._allowed = max_bytes, admission, allowed
        self._held = self._empty()
        self._loading = SingleFlight[Mine]()
        self._loads = asyncio.Semaphore(MAX_CONCURRENT)
        self._portions = asyncio.Semaphore(MAX_CONCURRENT)
        cache.responses.watch(self.forget)

    def __len__(self) -> int:
        return len(self._held)

    @property
    def size(self) -> int:
        """Estimated bytes in memory, of which a single owner is counted as `max_bytes` at most."""
        return self._held.size

    def forget(self) -> None:
        """Drop everything: releases, or the artists of an owner, may have changed."""
        self._held = self._empty()

    async def read(self, owner: str | None) -> Mine:
        """Return the artists of an owner with their releases.

        Raises Overloaded or a DatabaseError.
        """
        held = self._held  # so that what was read before `forget` is not kept after it
        found = held.get(owner)
        if found is None:
            with self._admission.enter():
                found = await self._loading.do((id(held), owner), lambda: self._load(owner))
            held.put(owner, found)
        return found

    async def snapshot(self, owner: str | None, portion: Portion | None = None) -> Snapshot:
        """Return the current releases of an owner's artists, or those in a portion.

        Raises NoDataYet before the first sync, Overloaded or a DatabaseError.
        """
        mine = await self.read(owner)
        if mine.snapshot.freshness.synced_at is None and not mine.snapshot.albums:
            raise NoDataYet
        if portion is None:
            return mine.snapshot
        listed = await self._cache.snapshot_for(portion)
        return await self._chosen(listed, mine.artists.wanted)

    async def respond(
        self, owner: str | None, kind: type[ReleaseQuery], query_string: str, coding: Coding
    ) -> Representation:
        """Return the response to a raw query string, made for this request alone.

        Raises what `snapshot` raises, InvalidParameters or UriTooLong.
        """
        query = self._cache.parse(kind, query_string)
        async with nullcontext() if query.portion is None else self._turn():
            snapshot, readings = await self.snapshot(owner, query.portion), await self._of(owner)
            return private(await self._cache.build_unshared(snapshot, query, coding, readings))

    async def page(self, owner: str | None, snapshot: Snapshot, query: ReleaseQuery) -> Listing:
        """Return the page of a query, which goes on beyond an owner's `snapshot`.

        Raises InvalidParameters for a bad cursor, Overloaded or a DatabaseError.
        """
        readings = await self._of(owner)
        return await readings.select(snapshot, query, self._now(), self._admission)

    async def _of(self, owner: str | None) -> Readings:
        """Return the readings of an owner, whose artists may change between two pages."""
        wanted = (await self.read(owner)).artists.wanted
        return self._cache.readings.of_owner(owner or "", wanted)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Wait until fewer than MAX_CONCURRENT portions are in use. Raises Overloaded."""
        with self._admission.enter():
            await self._portions.acquire()
        try:
            yield
        finally:
            self._portions.release()

    async def _load(self, owner: str | None) -> Mine:
        today = self._now().date()
        async with self._loads:
            mine = await self._database.run(my_releases.load, owner, today, self._allowed)
            return replace(mine, snapshot=await self._chosen(mine.snapshot, mine.artists.wanted))

    async def _chosen(self, snapshot: Snapshot, wanted: Collection[str]) -> Snapshot:
        chosen: Snapshot = await self._compute(of_artists, snapshot, wanted)
        return chosen

    def _empty(self) -> ByteLRU[str | None, Mine]:
        least, most = self._max_bytes // MOST_OWNERS, self._max_bytes
        return ByteLRU(most, lambda _owner, mine: min(max(_size(mine), least), most))


def of_artists(snapshot: Snapshot, artists: Collection[str]) -> Snapshot:
    """Return the releases on which one of these artists is credited.

    Lists of artists name only these; each release still shows all that are credited.
    """
    chosen = []
    for album in snapshot.albums:
        theirs = tuple(each for each in album.artists if each.spotify_id in artists)
        if theirs:
            chosen.append(replace(album, artists=theirs))
    return snapshot.only(chosen)


def private(made: Representation) -> Representation:
    """Return a response with headers that keep it out of every cache.

    `Last-Modified` is left out, because the date does not tell when the artists were chosen.
    """
    kept = tuple(each for each in made.headers if each[0] not in ("Cache-Control", "Last-Modified"))
    return replace(made, headers=(*kept, ("Cache-Control", PRIVATE)))


def _size(mine: Mine) -> int:
    artists = mine.artists
    count = len(artists.followed) + len(artists.watched) + len(artists.ignored)
    return mine.snapshot.size + NAME_BYTES * count
