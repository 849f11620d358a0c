"""A cache with a clock, a timer and a database that a test controls."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import orjson
import pytest

from server.catalog.query import ArtistsQuery, Portion
from server.catalog.snapshot import AlbumEntry, ArtistEntry, Freshness, Snapshot
from server.config.memory_budget import DEFAULT, MemoryBudget
from server.errors import DatabaseUnavailable
from server.serving.cache import PayloadCache
from server.serving.cursors import Cursors
from server.serving.payload import Coding, Representation
from server.serving.readings import Readings
from tests.support.clock import Clock
from tests.support.releases import release
from tests.support.settings import SECRET


class Source:
    """Where snapshots come from: a real loader's shape, with the data of a test."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.loads = 0
        self.releases = 3
        self.down = False
        self.synced = True
        self.complete_at = clock()
        self.days: list[str] = []

    async def load_portion(self, portion: Portion) -> Snapshot:
        self.days.append(portion.at or ",".join(portion.artists))
        return await self.load()

    async def load_page(self, *_: Any) -> None:
        raise AssertionError("everything is in memory")

    async def load(self) -> Snapshot:
        self.loads += 1
        await asyncio.sleep(0)
        if self.down:
            raise DatabaseUnavailable("gone")
        at = self.clock() if self.synced else None
        albums = tuple(
            AlbumEntry(
                release(),
                "album",
                self.clock(),
                f'{{"n":{number}}}'.encode(),
                (ArtistEntry(f"a{number}", f"Artist {number}", b'{"id":%d}' % number),),
            )
            for number in range(self.releases)
        )
        complete_at = self.complete_at if self.synced else None
        return Snapshot(albums, Freshness(at, at, complete_at, "search", False))


class Compute:
    """Runs work in threads, and counts the calls."""

    def __init__(self) -> None:
        self.calls = 0
        self.goes_on = asyncio.Event()
        self.goes_on.set()

    async def __call__(self, function: Callable[..., Any], *arguments: Any) -> Any:
        self.calls += 1
        await self.goes_on.wait()
        return await asyncio.get_running_loop().run_in_executor(None, function, *arguments)


class Timer:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class Rig:
    """A cache with its surroundings."""

    def __init__(self, clock: Clock, memory: MemoryBudget = DEFAULT) -> None:
        self.clock, self.source = clock, Source(clock)
        self.compute, self.timer = Compute(), Timer()
        self.cache = PayloadCache(
            self.source.load,
            self.source.load_portion,
            self.compute,
            ttl=300,
            max_age=15,
            interval=lambda: timedelta(seconds=1800),
            now=clock,
            timer=self.timer,
            memory=memory,
            readings=Readings(self.source.load_page, Cursors(SECRET)),
        )

    def peek(self, query_string: str, coding: Coding = "identity") -> Representation | None:
        return self.cache.peek("/api/artists/", query_string, coding)

    async def get(self, query_string: str, coding: Coding = "identity") -> Representation:
        return await self.cache.get(ArtistsQuery, query_string, coding)

    def forward(self, seconds: float) -> None:
        self.timer.seconds += seconds
        self.clock.forward(seconds=seconds)


@pytest.fixture
def cache_rig(clock: Clock) -> Rig:
    return Rig(clock)


def read(plain: Representation | None) -> dict[str, Any]:
    assert plain is not None
    content: dict[str, Any] = orjson.loads(plain.body)
    return content
