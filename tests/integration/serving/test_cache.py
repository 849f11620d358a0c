"""The cache answers without the database, replaces all at once, and survives everything."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import brotli
import orjson
import pytest

from server.catalog.query import AlbumsQuery, ArtistsQuery
from server.catalog.snapshot import AlbumEntry, ArtistEntry, Freshness, Snapshot
from server.config.memory_budget import DEFAULT
from server.database.admission import REQUEST_BYTES
from server.errors import DatabaseUnavailable, InvalidParameters, NothingYet
from server.request_errors import Overloaded
from server.serving.cache import PayloadCache
from server.serving.past_days import AT_ONCE
from server.serving.payload import CODINGS, Coding, Representation
from tests.conftest import Clock, until
from tests.support.releases import release


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

    async def load_day(self, day: str) -> Snapshot:
        self.days.append(day)
        return await self.load()

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
    """Runs work off the loop, and counts."""

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

    def __init__(self, clock: Clock) -> None:
        self.clock, self.source = clock, Source(clock)
        self.compute, self.timer = Compute(), Timer()
        self.cache = PayloadCache(
            self.source.load,
            self.source.load_day,
            self.compute,
            ttl=300,
            max_age=15,
            interval=lambda: timedelta(seconds=1800),
            now=clock,
            timer=self.timer,
        )

    def peek(self, query_string: str, coding: Coding = "identity") -> Representation | None:
        return self.cache.peek("/api/artists/", query_string, coding)

    async def get(self, query_string: str, coding: Coding = "identity") -> Representation:
        return await self.cache.get(ArtistsQuery, query_string, coding)

    def forward(self, seconds: float) -> None:
        self.timer.seconds += seconds
        self.clock.forward(seconds=seconds)


@pytest.fixture
def rig(clock: Clock) -> Rig:
    return Rig(clock)


def read(plain: Representation | None) -> dict[str, Any]:
    assert plain is not None
    content: dict[str, Any] = orjson.loads(plain.body)
    return content


@pytest.mark.gen_test
async def test_before_the_first_sync_there_is_nothing_to_serve(rig: Rig) -> None:
    with pytest.raises(NothingYet):
        await rig.get("")
    rig.source.synced = False
    await rig.cache.refresh()
    with pytest.raises(NothingYet):
        await rig.get("")
    assert rig.peek("") is None


@pytest.mark.gen_test
async def test_after_a_refresh_the_default_payload_is_warm(rig: Rig) -> None:
    await rig.cache.refresh()
    assert read(rig.peek(""))["total"] == 3


@pytest.mark.gen_test
async def test_a_query_is_warm_after_it_was_asked_once_in_any_spelling(rig: Rig) -> None:
    await rig.cache.refresh()
    assert rig.peek("limit=1&sort=name") is None
    first = await rig.get("limit=1&sort=name")
    built = rig.compute.calls
    assert await rig.get("sort=name&limit=01") is first
    assert rig.peek("sort=name&limit=01") is first
    assert rig.compute.calls == built


@pytest.mark.gen_test
async def test_a_coding_is_made_when_it_is_first_asked_for_and_no_other_with_it(rig: Rig) -> None:
    await rig.cache.refresh()
    pressed = await rig.get("limit=1", "br")
    assert rig.peek("limit=1", "br") is pressed
    assert rig.peek("limit=1", "gzip") is None
    assert rig.peek("limit=1", "identity") is None
    plain = await rig.get("limit=1", "identity")
    assert brotli.decompress(pressed.body) == plain.body
    assert rig.peek("limit=1", "br") is pressed


@pytest.mark.gen_test
async def test_callers_of_different_codings_do_not_get_each_others(rig: Rig) -> None:
    await rig.cache.refresh()
    built = rig.compute.calls
    made = await asyncio.gather(*(rig.get("limit=2", each) for each in (*CODINGS, *CODINGS)))
    assert rig.compute.calls == built + 3
    assert made[:3] == made[3:]
    assert len({each.etag for each in made}) == 3


@pytest.mark.gen_test
async def test_after_a_refresh_every_coding_of_what_is_in_demand_is_ready(rig: Rig) -> None:
    await rig.cache.refresh()
    await rig.get("limit=1", "br")
    await rig.cache.refresh()
    for coding in CODINGS:
        assert rig.peek("", coding) is not None
        assert rig.peek("limit=1", coding) is not None


@pytest.mark.gen_test
async def test_warm_or_cold_the_bytes_are_the_same_in_every_process(rig: Rig) -> None:
    other = Rig(rig.clock)
    rig.source.releases = other.source.releases = 300  # large, so that it is coded otherwise
    for each in (rig, other):
        await each.cache.refresh()
    await rig.get("release_limit=200", "identity")
    await rig.cache.refresh()
    for coding in CODINGS:
        warm = rig.peek("release_limit=200", coding)
        assert warm == await other.get("release_limit=200", coding)


@pytest.mark.gen_test
async def test_concurrent_callers_share_one_build(rig: Rig) -> None:
    await rig.cache.refresh()
    built = rig.compute.calls
    payloads = await asyncio.gather(*(rig.get("limit=2") for _ in range(50)))
    assert len(set(map(id, payloads))) == 1
    assert rig.compute.calls == built + 1


@pytest.mark.gen_test
async def test_one_caller_that_gives_up_does_not_spoil_it_for_the_others(rig: Rig) -> None:
    await rig.cache.refresh()
    impatient = asyncio.create_task(rig.get("limit=2"))
    patient = asyncio.create_task(rig.get("limit=2"))
    await asyncio.sleep(0)
    impatient.cancel()
    assert read(await patient)["limit"] == 2


@pytest.mark.gen_test
async def test_a_refresh_replaces_what_was_asked_for_and_leaves_it_warm(rig: Rig) -> None:
    await rig.cache.refresh()
    await rig.get("limit=2")
    rig.source.releases = 5
    await rig.cache.refresh()
    assert read(rig.peek(""))["total"] == 5
    assert read(rig.peek("limit=2"))["total"] == 5


@pytest.mark.gen_test
async def test_what_is_asked_for_most_is_warm_after_a_refresh_whoever_asked_last(rig: Rig) -> None:
    await rig.cache.refresh()
    for number in range(1, 41):
        await rig.get(f"limit={number}")
    for _ in range(5):
        rig.peek("limit=1")
    await rig.cache.refresh()
    assert rig.peek("") is not None
    assert rig.peek("limit=1") is not None
    assert sum(rig.peek(f"limit={number}") is not None for number in range(1, 41)) == 16
    await rig.cache.refresh()
    await rig.cache.refresh()
    assert rig.peek("limit=1") is None, "nobody asks for it any more"


@pytest.mark.gen_test
async def test_the_old_answer_is_served_while_the_new_one_is_made(rig: Rig) -> None:
    await rig.cache.refresh()
    rig.source.releases = 5
    refreshing = asyncio.create_task(rig.cache.refresh())
    seen = set()
    while not refreshing.done():
        seen.add(read(rig.peek(""))["total"])
        await asyncio.sleep(0)
    assert seen <= {3, 5}
    assert 3 in seen


@pytest.mark.gen_test
async def test_a_build_from_before_a_refresh_is_not_kept_after_it(rig: Rig) -> None:
    await rig.cache.refresh()
    slow = asyncio.create_task(rig.get("limit=2"))
    await asyncio.sleep(0)
    rig.source.releases = 5
    await rig.cache.refresh()
    await slow
    kept = rig.peek("limit=2")
    assert kept is None or read(kept)["total"] == 5


@pytest.mark.gen_test
async def test_when_its_time_runs_out_an_answer_is_made_again_and_the_data_read_behind_it(
    rig: Rig,
) -> None:
    await rig.cache.refresh()
    rig.source.releases = 4
    rig.forward(299)
    assert rig.peek("") is not None
    rig.forward(2)
    assert rig.peek("") is None
    assert read(await rig.get(""))["total"] == 3, "served at once from memory"
    await until(lambda: rig.source.loads == 2)
    await until(lambda: read(rig.peek(""))["total"] == 4)


@pytest.mark.gen_test
async def test_the_last_good_answer_is_served_for_as_long_as_the_database_is_down(
    rig: Rig,
) -> None:
    await rig.cache.refresh()
    rig.source.down = True
    for _ in range(3):
        rig.forward(400)
        assert read(await rig.get("limit=1"))["total"] == 3
    with pytest.raises(DatabaseUnavailable):
        await rig.cache.refresh()
    assert read(rig.peek("limit=1"))["total"] == 3


@pytest.mark.gen_test
async def test_a_dead_database_is_asked_every_few_seconds_and_not_on_every_request(
    rig: Rig,
) -> None:
    await rig.cache.refresh()
    rig.source.down = True
    rig.forward(301)
    for number in range(1, 30):
        await rig.get(f"limit={number}")
    await asyncio.sleep(0.01)
    assert rig.source.loads == 2
    rig.forward(6)
    await rig.get("limit=77")
    await until(lambda: rig.source.loads == 3)


@pytest.mark.gen_test
async def test_an_answer_turns_stale_by_itself_after_three_intervals(rig: Rig) -> None:
    await rig.cache.refresh()
    rig.source.down = True
    rig.forward(3 * 1800 - 10)
    assert read(await rig.get(""))["stale"] is False
    rig.forward(11)
    assert rig.peek("") is None, "its time to live ended when it turned stale"
    assert read(await rig.get(""))["stale"] is True


@pytest.mark.gen_test
async def test_a_wrong_query_is_never_kept(rig: Rig) -> None:
    await rig.cache.refresh()
    for _ in range(2):
        with pytest.raises(InvalidParameters):
            await rig.get("limit=0")
    assert rig.peek("limit=0") is None


@pytest.mark.gen_test
async def test_no_number_of_queries_makes_the_cache_grow_without_bound(rig: Rig) -> None:
    rig.source.releases = 200
    await rig.cache.refresh()
    for number in range(5000):
        await rig.get(f"offset={number}&spelling={number}")
    cache = rig.cache
    assert cache.responses.size <= DEFAULT.responses


@pytest.mark.gen_test
async def test_a_day_gone_by_is_read_once_and_again_after_a_sync(rig: Rig) -> None:
    await rig.cache.refresh()
    for query_string in ("at=2026-11-01", "at=2026-11-01&limit=1", "at=2026-11-02"):
        await rig.get(query_string)
    assert rig.source.days == ["2026-11-01", "2026-11-02"]
    assert rig.peek("at=2026-11-01") is not None
    await rig.cache.refresh()
    assert rig.peek("at=2026-11-01") is None
    await rig.get("at=2026-11-01")
    assert rig.source.days[2:] == ["2026-11-01"]


@pytest.mark.gen_test
async def test_days_gone_by_are_held_in_so_many_bytes(rig: Rig) -> None:
    await rig.cache.refresh()
    rig.source.releases = 200
    days = rig.cache.days
    for day in range(1, 29):
        await rig.get(f"at=2026-02-{day:02}")
        assert days.size <= DEFAULT.days
    assert 2 < len(days) < 28


@pytest.mark.gen_test
async def test_a_day_larger_than_all_that_is_held_is_answered_and_not_held(rig: Rig) -> None:
    await rig.cache.refresh()
    rig.source.releases = 4000
    assert read(await rig.get("at=2026-02-01&release_limit=1"))["count"] == 1
    assert len(rig.cache.days) == 0


@pytest.mark.gen_test
async def test_days_whose_answers_wait_for_a_builder_are_not_read_yet(rig: Rig) -> None:
    await rig.cache.refresh()
    rig.compute.goes_on.clear()
    asked = [asyncio.create_task(rig.get(f"at=2026-02-{day:02}")) for day in range(1, 29)]
    await until(lambda: rig.source.days)
    await asyncio.sleep(0.05)
    assert len(rig.source.days) == AT_ONCE
    rig.compute.goes_on.set()
    assert len(await asyncio.gather(*asked)) == len(set(rig.source.days)) == 28


@pytest.mark.gen_test
async def test_more_requests_than_may_wait_are_refused_and_what_is_ready_is_sent(rig: Rig) -> None:
    await rig.cache.refresh()
    most = DEFAULT.waiting // REQUEST_BYTES
    rig.compute.goes_on.clear()
    asked = [asyncio.create_task(rig.get(f"limit={1 + each % 90}")) for each in range(most)]
    await asyncio.sleep(0)
    for refused in ("limit=99", "limit=1", "at=2026-11-01"):
        with pytest.raises(Overloaded):
            await rig.get(refused)
    with pytest.raises(Overloaded):
        await rig.cache.shown("2026-11-01")
    assert rig.peek("") is not None
    assert (await rig.get("spelling=another")).body
    rig.compute.goes_on.set()
    assert len(await asyncio.gather(*asked)) == most
    assert (await rig.get("limit=99")).body


@pytest.mark.gen_test
async def test_a_day_that_cannot_be_read_is_an_error_and_the_rest_is_served(rig: Rig) -> None:
    await rig.cache.refresh()
    rig.source.down = True
    with pytest.raises(DatabaseUnavailable):
        await rig.get("at=2026-11-01")
    assert read(await rig.get(""))["total"] == 3


@pytest.mark.gen_test
async def test_two_routes_with_the_same_query_do_not_share_an_answer(rig: Rig) -> None:
    await rig.cache.refresh()
    by_album = await rig.cache.get(AlbumsQuery, "limit=1", "identity")
    assert read(by_album)["href"] == "/api/albums/?limit=1"
    assert read(await rig.get("limit=1"))["href"] == "/api/artists/?limit=1"
    assert rig.cache.peek("/api/albums/", "limit=1", "identity") is by_album
    await rig.cache.refresh()
    assert (
        read(rig.cache.peek("/api/albums/", "limit=1", "identity"))["href"]
        == "/api/albums/?limit=1"
    )
