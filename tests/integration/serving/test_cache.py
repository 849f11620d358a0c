"""The cache answers without the database, replaces all at once, and survives everything."""

import asyncio
import tracemalloc
from dataclasses import replace

import brotli
import pytest

from server.catalog.query import AlbumsQuery, Portion
from server.config.memory_budget import DEFAULT
from server.database.admission import REQUEST_BYTES
from server.errors import DatabaseUnavailable, InvalidParameters, NoDataYet
from server.request_errors import Overloaded
from server.serving import portions as portions_of
from server.serving.payload import CODINGS
from server.serving.portions import MAX_CONCURRENT
from tests.support.cache_rig import Rig, read
from tests.support.clock import Clock
from tests.support.waiting import until


@pytest.mark.gen_test
async def test_before_the_first_sync_there_is_nothing_to_serve(cache_rig: Rig) -> None:
    with pytest.raises(NoDataYet):
        await cache_rig.get("")
    cache_rig.source.synced = False
    await cache_rig.cache.refresh()
    with pytest.raises(NoDataYet):
        await cache_rig.get("")
    assert cache_rig.peek("") is None


@pytest.mark.gen_test
async def test_after_a_refresh_the_default_payload_is_warm(cache_rig: Rig) -> None:
    await cache_rig.cache.refresh()
    assert read(cache_rig.peek(""))["total"] == 3


@pytest.mark.gen_test
async def test_a_query_is_warm_after_it_was_asked_once_in_any_spelling(cache_rig: Rig) -> None:
    await cache_rig.cache.refresh()
    assert cache_rig.peek("limit=1&sort=name") is None
    first = await cache_rig.get("limit=1&sort=name")
    built = cache_rig.compute.calls
    assert await cache_rig.get("sort=name&limit=01") is first
    assert cache_rig.peek("sort=name&limit=01") is first
    assert cache_rig.compute.calls == built


@pytest.mark.gen_test
async def test_a_coding_is_made_when_it_is_first_asked_for_and_no_other_with_it(
    cache_rig: Rig,
) -> None:
    await cache_rig.cache.refresh()
    pressed = await cache_rig.get("limit=1", "br")
    assert cache_rig.peek("limit=1", "br") is pressed
    assert cache_rig.peek("limit=1", "gzip") is None
    assert cache_rig.peek("limit=1", "identity") is None
    plain = await cache_rig.get("limit=1", "identity")
    assert brotli.decompress(pressed.body) == plain.body
    assert cache_rig.peek("limit=1", "br") is pressed


@pytest.mark.gen_test
async def test_callers_of_different_codings_do_not_get_each_others(cache_rig: Rig) -> None:
    await cache_rig.cache.refresh()
    built = cache_rig.compute.calls
    made = await asyncio.gather(*(cache_rig.get("limit=2", each) for each in (*CODINGS, *CODINGS)))
    assert cache_rig.compute.calls == built + 3
    assert made[:3] == made[3:]
    assert len({each.etag for each in made}) == 3


@pytest.mark.gen_test
async def test_after_a_refresh_every_coding_of_what_is_in_demand_is_ready(cache_rig: Rig) -> None:
    await cache_rig.cache.refresh()
    await cache_rig.get("limit=1", "br")
    await cache_rig.cache.refresh()
    for coding in CODINGS:
        assert cache_rig.peek("", coding) is not None
        assert cache_rig.peek("limit=1", coding) is not None


@pytest.mark.gen_test
async def test_warm_or_cold_the_bytes_are_the_same_in_every_process(cache_rig: Rig) -> None:
    other = Rig(cache_rig.clock)
    cache_rig.source.releases = other.source.releases = 300  # large, so that it is coded otherwise
    for each in (cache_rig, other):
        await each.cache.refresh()
    await cache_rig.get("release_limit=200", "identity")
    await cache_rig.cache.refresh()
    for coding in CODINGS:
        warm = cache_rig.peek("release_limit=200", coding)
        assert warm == await other.get("release_limit=200", coding)


@pytest.mark.gen_test
async def test_concurrent_callers_share_one_build(cache_rig: Rig) -> None:
    await cache_rig.cache.refresh()
    built = cache_rig.compute.calls
    payloads = await asyncio.gather(*(cache_rig.get("limit=2") for _ in range(50)))
    assert len(set(map(id, payloads))) == 1
    assert cache_rig.compute.calls == built + 1


@pytest.mark.gen_test
async def test_one_caller_that_gives_up_does_not_spoil_it_for_the_others(cache_rig: Rig) -> None:
    await cache_rig.cache.refresh()
    impatient = asyncio.create_task(cache_rig.get("limit=2"))
    patient = asyncio.create_task(cache_rig.get("limit=2"))
    await asyncio.sleep(0)
    impatient.cancel()
    assert read(await patient)["limit"] == 2


@pytest.mark.gen_test
async def test_a_refresh_replaces_what_was_asked_for_and_leaves_it_warm(cache_rig: Rig) -> None:
    await cache_rig.cache.refresh()
    await cache_rig.get("limit=2")
    cache_rig.source.releases = 5
    await cache_rig.cache.refresh()
    assert read(cache_rig.peek(""))["total"] == 5
    assert read(cache_rig.peek("limit=2"))["total"] == 5


@pytest.mark.gen_test
async def test_what_is_asked_for_most_is_warm_after_a_refresh_whoever_asked_last(
    cache_rig: Rig,
) -> None:
    await cache_rig.cache.refresh()
    for number in range(1, 41):
        await cache_rig.get(f"limit={number}")
    for _ in range(5):
        cache_rig.peek("limit=1")
    await cache_rig.cache.refresh()
    assert cache_rig.peek("") is not None
    assert cache_rig.peek("limit=1") is not None
    assert sum(cache_rig.peek(f"limit={number}") is not None for number in range(1, 41)) == 16
    await cache_rig.cache.refresh()
    await cache_rig.cache.refresh()
    assert cache_rig.peek("limit=1") is None, "nobody asks for it any more"


@pytest.mark.gen_test
async def test_the_old_answer_is_served_while_the_new_one_is_made(cache_rig: Rig) -> None:
    await cache_rig.cache.refresh()
    cache_rig.source.releases = 5
    refreshing = asyncio.create_task(cache_rig.cache.refresh())
    seen = set()
    while not refreshing.done():
        seen.add(read(cache_rig.peek(""))["total"])
        await asyncio.sleep(0)
    assert seen <= {3, 5}
    assert 3 in seen


@pytest.mark.gen_test
async def test_a_build_from_before_a_refresh_is_not_kept_after_it(cache_rig: Rig) -> None:
    await cache_rig.cache.refresh()
    slow = asyncio.create_task(cache_rig.get("limit=2"))
    await asyncio.sleep(0)
    cache_rig.source.releases = 5
    await cache_rig.cache.refresh()
    await slow
    kept = cache_rig.peek("limit=2")
    assert kept is None or read(kept)["total"] == 5


@pytest.mark.gen_test
async def test_when_its_time_runs_out_an_answer_is_made_again_and_the_data_read_behind_it(
    cache_rig: Rig,
) -> None:
    await cache_rig.cache.refresh()
    cache_rig.source.releases = 4
    cache_rig.forward(299)
    assert cache_rig.peek("") is not None
    cache_rig.forward(2)
    assert cache_rig.peek("") is None
    assert read(await cache_rig.get(""))["total"] == 3, "served at once from memory"
    await until(lambda: cache_rig.source.loads == 2)
    await until(lambda: read(cache_rig.peek(""))["total"] == 4)


@pytest.mark.gen_test
async def test_the_last_good_answer_is_served_for_as_long_as_the_database_is_down(
    cache_rig: Rig,
) -> None:
    await cache_rig.cache.refresh()
    cache_rig.source.down = True
    for _ in range(3):
        cache_rig.forward(400)
        assert read(await cache_rig.get("limit=1"))["total"] == 3
    with pytest.raises(DatabaseUnavailable):
        await cache_rig.cache.refresh()
    assert read(cache_rig.peek("limit=1"))["total"] == 3


@pytest.mark.gen_test
async def test_a_dead_database_is_asked_every_few_seconds_and_not_on_every_request(
    cache_rig: Rig,
) -> None:
    await cache_rig.cache.refresh()
    cache_rig.source.down = True
    cache_rig.forward(301)
    for number in range(1, 30):
        await cache_rig.get(f"limit={number}")
    await asyncio.sleep(0.01)
    assert cache_rig.source.loads == 2
    cache_rig.forward(6)
    await cache_rig.get("limit=77")
    await until(lambda: cache_rig.source.loads == 3)


@pytest.mark.gen_test
async def test_an_answer_turns_stale_by_itself_after_three_intervals(cache_rig: Rig) -> None:
    await cache_rig.cache.refresh()
    cache_rig.source.down = True
    cache_rig.forward(3 * 1800 - 10)
    assert read(await cache_rig.get(""))["stale"] is False
    cache_rig.forward(11)
    assert cache_rig.peek("") is None, "its time to live ended when it turned stale"
    assert read(await cache_rig.get(""))["stale"] is True


@pytest.mark.gen_test
async def test_a_wrong_query_is_never_kept(cache_rig: Rig) -> None:
    await cache_rig.cache.refresh()
    for _ in range(2):
        with pytest.raises(InvalidParameters):
            await cache_rig.get("limit=0")
    assert cache_rig.peek("limit=0") is None


@pytest.mark.gen_test
async def test_no_number_of_queries_makes_the_cache_grow_without_bound(clock: Clock) -> None:
    most = 300_000
    rig = Rig(clock, replace(DEFAULT, responses=most))
    rig.source.releases = 200
    await rig.cache.refresh()
    for number in range(400):
        await rig.get(f"offset={number}&spelling={number}")
        assert rig.cache.responses.size <= most
    assert rig.cache.responses.size > most / 2
    assert rig.peek("offset=399&spelling=399") is not None
    assert rig.peek("offset=0&spelling=0") is None


@pytest.mark.gen_test
async def test_a_day_gone_by_is_read_once_and_again_after_a_sync(cache_rig: Rig) -> None:
    await cache_rig.cache.refresh()
    for query_string in ("at=2026-11-01", "at=2026-11-01&limit=1", "at=2026-11-02"):
        await cache_rig.get(query_string)
    assert cache_rig.source.days == ["2026-11-01", "2026-11-02"]
    assert cache_rig.peek("at=2026-11-01") is not None
    await cache_rig.cache.refresh()
    assert cache_rig.peek("at=2026-11-01") is None
    await cache_rig.get("at=2026-11-01")
    assert cache_rig.source.days[2:] == ["2026-11-01"]


@pytest.mark.gen_test
async def test_days_gone_by_are_held_in_so_many_bytes(cache_rig: Rig) -> None:
    await cache_rig.cache.refresh()
    cache_rig.source.releases = 200
    portions = cache_rig.cache.portions
    for day in range(1, 29):
        await cache_rig.get(f"at=2026-02-{day:02}")
        assert portions.size <= DEFAULT.portions
    assert 2 < len(portions) < 28


@pytest.mark.gen_test
async def test_lists_of_artists_without_any_release_are_held_in_so_many_bytes(
    cache_rig: Rig,
) -> None:
    await cache_rig.cache.refresh()
    cache_rig.source.releases = 0
    portions = cache_rig.cache.portions
    most = 300  # lists of 50 ids, so few that a test may ask for more
    portions._max_bytes = most * (portions_of.PORTION_BYTES + 50 * portions_of.ID_BYTES)
    portions.clear()
    tracemalloc.start()
    for number in range(most + 200):
        ids = tuple(f"{number:04}{each:018}" for each in range(50))
        await portions.read(Portion(artists=ids))
        cache_rig.source.days.clear()
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(portions) == most
    assert taken <= portions.size <= portions._max_bytes


@pytest.mark.gen_test
async def test_a_day_larger_than_all_that_is_held_is_answered_and_not_held(cache_rig: Rig) -> None:
    await cache_rig.cache.refresh()
    cache_rig.source.releases = 4000
    assert read(await cache_rig.get("at=2026-02-01&release_limit=1"))["count"] == 1
    assert len(cache_rig.cache.portions) == 0


@pytest.mark.gen_test
async def test_days_whose_answers_wait_for_a_builder_are_not_read_yet(cache_rig: Rig) -> None:
    await cache_rig.cache.refresh()
    cache_rig.compute.goes_on.clear()
    asked = [asyncio.create_task(cache_rig.get(f"at=2026-02-{day:02}")) for day in range(1, 29)]
    await until(lambda: cache_rig.source.days)
    await asyncio.sleep(0.05)
    assert len(cache_rig.source.days) == MAX_CONCURRENT
    cache_rig.compute.goes_on.set()
    assert len(await asyncio.gather(*asked)) == len(set(cache_rig.source.days)) == 28


@pytest.mark.gen_test
async def test_more_requests_than_may_wait_are_refused_and_what_is_ready_is_sent(
    cache_rig: Rig,
) -> None:
    await cache_rig.cache.refresh()
    most = DEFAULT.waiting // REQUEST_BYTES
    cache_rig.compute.goes_on.clear()
    asked = [asyncio.create_task(cache_rig.get(f"limit={1 + each % 90}")) for each in range(most)]
    await asyncio.sleep(0)
    for refused in ("limit=99", "limit=1", "at=2026-11-01"):
        with pytest.raises(Overloaded):
            await cache_rig.get(refused)
    with pytest.raises(Overloaded):
        await cache_rig.cache.snapshot_for(Portion("2026-11-01", "UTC"))
    assert cache_rig.peek("") is not None
    assert (await cache_rig.get("spelling=another")).body
    cache_rig.compute.goes_on.set()
    assert len(await asyncio.gather(*asked)) == most
    assert (await cache_rig.get("limit=99")).body


@pytest.mark.gen_test
async def test_a_day_that_cannot_be_read_is_an_error_and_the_rest_is_served(cache_rig: Rig) -> None:
    await cache_rig.cache.refresh()
    cache_rig.source.down = True
    with pytest.raises(DatabaseUnavailable):
        await cache_rig.get("at=2026-11-01")
    assert read(await cache_rig.get(""))["total"] == 3


@pytest.mark.gen_test
async def test_two_routes_with_the_same_query_do_not_share_an_answer(cache_rig: Rig) -> None:
    await cache_rig.cache.refresh()
    by_album = await cache_rig.cache.get(AlbumsQuery, "limit=1", "identity")
    assert read(by_album)["href"] == "/api/albums/?limit=1"
    assert read(await cache_rig.get("limit=1"))["href"] == "/api/artists/?limit=1"
    assert cache_rig.cache.peek("/api/albums/", "limit=1", "identity") is by_album
    await cache_rig.cache.refresh()
    assert (
        read(cache_rig.cache.peek("/api/albums/", "limit=1", "identity"))["href"]
        == "/api/albums/?limit=1"
    )
