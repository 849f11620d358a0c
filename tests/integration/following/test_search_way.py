"""Artists are searched for only where that was proven to work, and within the calls of a day."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from models import Album, ArtistCheck, ArtistSchedule, Listing, Source
from server.database.executor import Database
from server.following.search_way import SearchWay
from server.standin import Answer
from server.standin.world import ArtistSearch
from server.storage import sweeps
from tests.support.broken_tables import refuse_writes
from tests.support.check_rig import CheckRig, rig_maker
from tests.support.clock import Clock
from tests.support.examples import album, artist, spotify_id, sweep
from tests.support.loops import Closing
from tests.support.settings import MakeSettings
from tests.support.standins import StartStandIn

LISTED = [album(number, release_date="2026-11-19") for number in range(1, 6)]


class Rig(CheckRig):
    """The checks by search."""

    async def sync(self, items: list[Any]) -> None:
        await self.database.run(sweeps.record_sweep, sweep(items), self.clock(), self.clock)

    async def job(self) -> None:
        await self.search.tick()

    @property
    def search(self) -> SearchWay:
        return self.following.search

    async def verdict(self) -> Source | None:
        rows = await self.all(select(Source).where(Source.name == "search:artist"))
        return rows[0] if rows else None

    def searched(self) -> list[str]:
        return [call.query["q"] for call in self.standin.calls if call.path == "/v1/search"]


@pytest.fixture
def rig(
    start_standin: StartStandIn,
    make_settings: MakeSettings,
    database: Database,
    clock: Clock,
    closing: Closing,
) -> Callable[..., Rig]:
    return rig_maker(Rig, start_standin, make_settings, database, clock, closing)


@pytest.mark.gen_test
async def test_a_search_that_works_finds_new_releases_without_the_artists_own_list(
    rig: Callable[..., Rig],
) -> None:
    fresh = album(50, artists=[artist(9)], release_date="2026-11-20")
    search = rig([*LISTED, fresh])
    await search.sync(LISTED)
    await search.watch(9)
    await search.ticks(2)
    verdict = await search.verdict()
    assert verdict is not None
    assert (verdict.verdict, verdict.reason) == ("allowed", None)
    assert search.searched()[-1] == 'tag:new artist:"Artist 9"'
    assert spotify_id("album", 50) in await search.all(select(Album.spotify_id))
    assert await search.all(select(Listing.source).where(Listing.source == "followed"))
    (check,) = await search.all(select(ArtistCheck))
    assert (check.way, check.calls, check.added) == ("search", 1, 1)


@pytest.mark.parametrize("kind", [ArtistSearch.EMPTY, ArtistSearch.IGNORED])
@pytest.mark.gen_test
async def test_a_search_that_does_not_work_is_left_alone_for_a_week(
    rig: Callable[..., Rig], kind: ArtistSearch
) -> None:
    search = rig(LISTED, artist_search=kind)
    await search.sync(LISTED)
    await search.watch(9)
    await search.ticks(40, hours=4)
    verdict = await search.verdict()
    assert verdict is not None
    assert verdict.verdict == "restricted"
    assert len(search.searched()) == 3
    newer = album(30, release_date="2026-11-26")
    search.standin.catalogue.albums.insert(0, newer)
    await search.sync([newer])
    search.standin.artist_search = ArtistSearch.WORKS
    await search.ticks(4, hours=4)
    found = await search.verdict()
    assert found is not None
    assert found.verdict == "allowed"
    assert found.probed_at - verdict.probed_at >= timedelta(days=7)


@pytest.mark.gen_test
async def test_artists_take_turns_that_spread_over_the_day(rig: Callable[..., Rig]) -> None:
    search = rig(LISTED)
    await search.sync(LISTED)
    await search.watch(7, 8, 9)
    await search.ticks(24 * 12, minutes=5)
    searched = search.searched()[1:]
    assert [searched.count(f'tag:new artist:"Artist {number}"') for number in (7, 8, 9)] == [4] * 3


@pytest.mark.gen_test
async def test_a_release_that_only_another_artist_of_that_name_made_is_not_stored(
    rig: Callable[..., Rig],
) -> None:
    namesake = album(60, artists=[artist(77, name="Artist 9")], release_date="2026-11-20")
    search = rig([*LISTED, namesake])
    await search.sync(LISTED)
    await search.watch(9)
    await search.ticks(2)
    assert len(search.searched()) == 2
    assert spotify_id("album", 60) not in await search.all(select(Album.spotify_id))


@pytest.mark.gen_test
async def test_a_pause_of_the_search_is_kept(rig: Callable[..., Rig]) -> None:
    search = rig(LISTED)
    await search.sync(LISTED)
    await search.watch(9)
    await search.ticks(1)
    pause = Answer(429, b"Too many requests", {"Retry-After": "900"})
    search.standin.answer_next("/v1/search", pause)
    await search.ticks(100)
    assert len(search.searched()) == 2
    await search.ticks(2, minutes=15)
    assert len(search.searched()) == 3


@pytest.mark.gen_test
async def test_checks_of_both_ways_keep_what_the_other_has_planned(
    rig: Callable[..., Rig],
) -> None:
    search = rig([*LISTED, album(50, artists=[artist(9)], release_date="2019-11-20")])
    await search.sync(LISTED)
    await search.watch(9)
    await search.following.checker.tick()
    await search.ticks(3)
    search.clock.forward(days=1, hours=13)
    await search.following.checker.tick()
    (schedule,) = await search.all(select(ArtistSchedule))
    assert schedule.searched_at is not None
    assert schedule.checked_at - schedule.searched_at > timedelta(days=1)
    assert schedule.interval_days == 2


@pytest.mark.gen_test
async def test_without_a_new_release_to_look_for_nothing_is_probed(
    rig: Callable[..., Rig],
) -> None:
    search = rig(LISTED)
    await search.watch(9)
    await search.ticks(10)
    assert search.searched() == []
    assert await search.verdict() is None


@pytest.mark.parametrize("code", ["P0001", "25006"])
@pytest.mark.gen_test
async def test_what_cannot_be_stored_is_not_searched_for_again_and_again(
    rig: Callable[..., Rig], code: str
) -> None:
    search = rig([*LISTED, album(50, artists=[artist(9)], release_date="2026-11-20")])
    await search.sync(LISTED)
    await search.watch(9)
    await search.database.run(refuse_writes, "albums", code, spotify_id("album", 50))
    await search.ticks(150)
    assert search.searched().count('tag:new artist:"Artist 9"') == 1
