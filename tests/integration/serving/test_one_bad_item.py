"""One bad item harms one item: a release, a row, an answer, a change, a listener, a day."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest
from icalendar import Calendar
from sqlalchemy import text
from structlog.testing import capture_logs

from server.catalog.journal import JournalPage, Place
from server.catalog.query import FEEDS, AtomQuery, CalendarQuery, Portion, ReleaseQuery, TableQuery
from server.catalog.release import Release
from server.catalog.snapshot import AlbumEntry, Freshness, Snapshot
from server.database.executor import Database
from server.serving import payload
from server.serving.streams.broadcast import Broadcast
from server.serving.streams.follower import Follower
from server.storage import changes, sweeps
from tests.support.cache_rig import Rig, read
from tests.support.catalog_server import START, SetCatalogueStage, Stage
from tests.support.clock import Clock
from tests.support.event_streams import happen
from tests.support.examples import album, albums, spotify_id, sweep
from tests.support.feed_formats import rows
from tests.support.releases import release

DEEP = "[" * 300 + "]" * 300  # deeper than orjson writes, which reads it all the same
LISTS = ("/api/albums/", "/api/artists/", *(each.path for each in FEEDS))
BAD = spotify_id("album", 1)


@contextmanager
def told() -> Iterator[list[Any]]:
    """What is logged as left out meanwhile, and nothing worse."""
    left_out: list[Any] = []
    with capture_logs() as logs:
        yield left_out
    left_out += [line for line in logs if line["event"] in ("item_left_out", "answer_failed")]
    assert not [line for line in logs if line["event"] in ("task_crashed", "request_crashed")]


def crash() -> None:
    raise ValueError("nobody foresaw this")


async def take(stage: Stage, items: list[Any], at: datetime) -> None:
    """A sync of the server's own, which it does not hear of a second time."""
    origin = stage.freshet.listener._origin
    await stage.freshet.database.run(sweeps.record_sweep, sweep(items), at, lambda: at, origin)
    await stage.freshet.cache.refresh()


async def alter(stage: Stage, statement: str, **values: Any) -> None:
    """Change rows behind the server's back, and let it read them."""
    await stage.freshet.database.run(lambda session: session.execute(text(statement), values))
    await stage.freshet.cache.refresh()


async def count(stage: Stage, path: str) -> int:
    """How many releases, or artists, an address tells of."""
    answer = await stage.client.fetch(path)
    assert answer.code == 200, (path, answer.body)
    path = path.partition("?")[0]
    if path.endswith(".atom"):
        return answer.body.count(b"<entry>")
    if path.endswith(".ics"):
        return len(Calendar.from_ical(answer.body).walk("VEVENT"))
    if path.endswith(".csv"):
        return len(rows(answer.body))
    return len(orjson.loads(answer.body)["items"])


@pytest.mark.gen_test
async def test_a_release_of_the_last_day_that_there_is_stops_nothing(
    set_catalogue_stage: SetCatalogueStage,
) -> None:
    stage: Stage = await set_catalogue_stage()
    last = album(1, release_date="9999-12-31")
    first = album(2, release_date="0001-01-01")
    await take(stage, [last, first, album(3)], START)
    for path in LISTS:
        assert await count(stage, f"{path}?upcoming=include") == 3, path
    body = (await stage.client.fetch("/feeds/albums.ics?upcoming=include")).body
    days = {day.decode() for day in re.findall(rb"DTSTART;VALUE=DATE:(\d+)\r\n", body)}
    assert days == {"99991231", "00010101", "20261120"}
    await take(stage, [last, first, album(3), album(4)], START + timedelta(hours=1))
    for path in LISTS:
        assert await count(stage, f"{path}?upcoming=include") == 4, f"{path} was in demand"
    for day, status in (("0001-01-01", 400), ("2026-11-20", 200)):
        assert (await stage.client.fetch(f"/?at={day}")).code == status


@pytest.mark.gen_test
async def test_a_release_whose_row_cannot_be_read_is_left_out_until_it_can(
    set_catalogue_stage: SetCatalogueStage,
) -> None:
    stage: Stage = await set_catalogue_stage()
    await take(stage, albums(3), START)
    with told() as left_out:
        await alter(stage, "UPDATE albums SET images = '\"x\"' WHERE spotify_id = :bad", bad=BAD)
        for path in LISTS:
            assert await count(stage, path) == 2, path
        assert (await stage.client.fetch("/")).code == 200
    (line,) = left_out
    assert (line["place"], line["spotify_ids"], line["log_level"]) == ("albums", [BAD], "error")
    await take(stage, albums(3), START + timedelta(hours=1))
    await alter(stage, "UPDATE albums SET images = '[]' WHERE spotify_id = :bad", bad=BAD)
    for path in LISTS:
        assert await count(stage, path) == 3, path


@pytest.mark.gen_test
async def test_an_artist_whose_row_cannot_be_read_takes_no_release_along(
    set_catalogue_stage: SetCatalogueStage,
) -> None:
    stage: Stage = await set_catalogue_stage()
    await take(stage, albums(3), START)
    with told() as left_out:
        broken = "UPDATE artists SET genres = NULL, images = CAST(:deep AS jsonb) WHERE id = 2"
        await alter(stage, broken, deep=DEEP)
        assert await count(stage, "/api/albums/") == 3
        assert await count(stage, "/api/artists/") == 2
    assert [(line["place"], line["count"]) for line in left_out] == [("artists", 1)]


@pytest.mark.gen_test
async def test_what_a_page_cannot_show_is_missing_there_alone_and_logged_once(
    set_catalogue_stage: SetCatalogueStage,
) -> None:
    stage: Stage = await set_catalogue_stage()
    await take(stage, albums(3), START)
    artist_page = f"/artists/{spotify_id('artist', 1)}/"
    with told() as left_out:
        sizeless = """UPDATE albums SET images = '[{"url": "https://x"}]' WHERE spotify_id = :bad"""
        await alter(stage, sizeless, bad=BAD)
        for path in LISTS:
            assert await count(stage, path) == 3, path
        for _ in range(2):
            assert (await stage.client.fetch("/?sort=name")).body.count(b"Album 1") == 0
            assert (await stage.client.fetch("/")).body.count(b"Album 2") > 0
            assert b"Artist 1" in (await stage.client.fetch(artist_page)).body
    assert [line["place"] for line in left_out] == ["/", "/artists/{spotify_id}/"]
    assert all(line["spotify_ids"] == [BAD] for line in left_out)


class Faulty(Release):
    """A release of which no format can tell who made it."""

    @property
    def by(self) -> str:
        raise ValueError("nobody foresaw this")


@pytest.mark.parametrize("kind", [AtomQuery, CalendarQuery, TableQuery])
def test_a_writer_that_fails_for_one_release_writes_the_others(kind: type[ReleaseQuery]) -> None:
    entries = []
    for number in range(3):
        told_of = release(f"Name {number}")
        told_of = Faulty(*told_of) if number == 1 else told_of
        entries.append(AlbumEntry(told_of, "album", START, b"{}", (), f"a{number}"))
    snapshot = Snapshot(tuple(entries), Freshness(START, START))
    whole = payload.build(snapshot, kind(), today=START.date(), stale=False, max_age=15)
    assert [b"Name %d" % number in whole.body for number in range(3)] == [True, False, True]
    assert [each.item.spotify_id for each in whole.left_out] == ["a1"]


@pytest.mark.gen_test
async def test_an_answer_that_cannot_be_made_leaves_the_demand_and_the_rest_is_replaced(
    cache_rig: Rig,
) -> None:
    await cache_rig.cache.refresh()
    await cache_rig.get("limit=1")
    cache_rig.cache.hot_queries.count(
        "/api/artists/?limit=0", 1000
    )  # which no query has for its normal form
    cache_rig.source.releases = 5
    with told() as left_out:
        await cache_rig.cache.refresh()
        assert read(cache_rig.peek(""))["total"] == 5
        assert read(cache_rig.peek("limit=1"))["total"] == 5
    (line,) = left_out
    assert (line["event"], line["href"]) == ("answer_failed", "/api/artists/?limit=0")
    with told() as left_out:
        await cache_rig.cache.refresh()
    assert left_out == []


@pytest.mark.gen_test
async def test_when_nothing_can_be_warmed_what_is_new_is_served_all_the_same(
    cache_rig: Rig,
) -> None:
    await cache_rig.cache.refresh()

    async def out_of_threads(*_: Any) -> Any:
        raise RuntimeError("these threads have been closed")

    compute, cache_rig.cache._compute = cache_rig.cache._compute, out_of_threads
    cache_rig.source.releases = 5
    with told() as left_out:
        await cache_rig.cache.refresh()
    assert [line["event"] for line in left_out] == ["answer_failed"]
    cache_rig.cache._compute = compute
    assert cache_rig.peek("") is None
    assert read(await cache_rig.get(""))["total"] == 5


@pytest.mark.gen_test
async def test_a_watcher_of_the_shelf_that_raises_keeps_no_other_from_hearing(
    cache_rig: Rig,
) -> None:
    heard = []
    cache_rig.cache.responses.watch(crash)
    cache_rig.cache.responses.watch(lambda: heard.append("heard"))
    with capture_logs() as logs:
        await cache_rig.cache.refresh()
    assert heard == ["heard"]
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["task_crashed"]
    assert read(cache_rig.peek(""))["total"] == 3


@pytest.mark.gen_test
async def test_a_day_gone_by_that_cannot_be_read_fails_alone(clock: Clock) -> None:
    some = Rig(clock)
    await some.cache.refresh()
    good = some.source.load_portion

    async def one_is_bad(portion: Portion) -> Snapshot:
        if portion.at == "2026-11-02":
            raise ValueError("nobody foresaw this")
        return await good(portion)

    some.cache.portions._load = one_is_bad
    days = [some.get(f"at=2026-11-0{number}") for number in (1, 2, 3)]
    first, second, third = await asyncio.gather(*days, return_exceptions=True)
    assert isinstance(second, ValueError)
    for each in (first, third):
        assert not isinstance(each, BaseException)
        assert read(each)["total"] == 3
    await some.cache.refresh()
    assert read(some.peek(""))["total"] == 3
    some.cache.portions._load = good
    assert read(await some.get("at=2026-11-02"))["total"] == 3


@pytest.mark.gen_test
async def test_a_change_that_json_cannot_hold_is_told_without_its_detail(
    set_catalogue_stage: SetCatalogueStage, database: Database
) -> None:
    stage: Stage = await set_catalogue_stage()
    await take(stage, albums(3), START)
    with told() as left_out:
        await alter(stage, "UPDATE changes SET detail = CAST(:deep AS jsonb) WHERE seq = 2",
                    deep=f'{{"images": {DEEP}}}')  # fmt: skip
        page = await stage.get("/api/changes/")
        piece = await database.run(changes.read, 0, 10)
    assert [each["seq"] for each in page["items"]] == [1, 2, 3]
    assert page["items"][1]["detail"] == {}
    assert [orjson.loads(each.json)["seq"] for each in piece.entries] == [1, 2, 3]
    assert {(line["place"], line["seq"]) for line in left_out} == {("changes", 2)}


@pytest.mark.gen_test
async def test_a_listener_that_fails_keeps_no_other_from_hearing(database: Database) -> None:
    fails = True

    async def reading(after: int, limit: int) -> JournalPage:
        if fails:
            raise ValueError("nobody foresaw this")
        return await database.run(changes.read, after, limit)

    class Deaf(Follower):
        def wake(self) -> None:
            raise RuntimeError("it cannot be woken")

        leave = wake

    broadcast = Broadcast(reading, lambda limit: database.run(changes.read_latest, limit))
    with pytest.raises(ValueError):
        await broadcast.refresh()
    fails = False
    await broadcast.refresh()
    deaf = Deaf(broadcast, Place(0))
    broadcast.add_waiting(deaf)
    follower = await broadcast.follow(None)
    hearing = asyncio.create_task(follower.next(10))
    await asyncio.sleep(0)
    happen(database, albums(1))
    with capture_logs() as logs:
        await broadcast.refresh()
        assert b"event: added" in await hearing
        broadcast._audience.add(deaf)
        broadcast.close()
    assert follower.is_over
    assert {line["event"] for line in logs} == {"task_crashed"}
