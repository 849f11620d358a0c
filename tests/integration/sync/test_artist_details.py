"""Artists' details come between syncs, within the quota, and are looked up again after a week."""

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from sqlalchemy import select, update
from structlog.testing import capture_logs

from models import Artist, Cooldown, Source
from server.database.executor import Database
from server.encryption import Encryption
from server.spotify.api.artists import ArtistLookup
from server.spotify.api.client import SpotifyClient
from server.spotify.auth.token_provider import TokenProvider
from server.spotify.auth.token_refresh import TokenRefresher
from server.spotify.limits.rate_limiter import RateLimiter
from server.spotify.object_parser import parse_artists
from server.spotify.transport import Transport
from server.standin import Answer, AppKind, StandIn
from server.standin.faults.definitions import TEXTS
from server.storage import sweeps
from server.sync.artist_details import ArtistDetailsFetcher
from tests.support.clock import Clock
from tests.support.examples import album, albums, artist, spotify_id, sweep
from tests.support.rate_limiters import APP, accounts_of
from tests.support.servers import StartFreshet
from tests.support.settings import SECRET
from tests.support.standins import StartStandIn
from tests.support.waiting import until

MANY = "/v1/artists"


class Rig:
    """A local copy, the details that it lacks, and a stand-in that has them."""

    def __init__(
        self, standin: StandIn, database: Database, transport: Transport, clock: Clock, per_day: int
    ) -> None:
        self.standin, self.database, self.clock = standin, database, clock
        accounts = accounts_of(standin, transport, clock)
        encryption = Encryption(SECRET, "tokens")
        tokens = TokenProvider(
            TokenRefresher(database, accounts, "id", encryption, (), clock), clock
        )
        limiter = RateLimiter(database, APP, per_day, clock)
        client = SpotifyClient(transport, tokens, limiter, standin.api_url)
        self.announced, self.busy = 0, False
        self.details = ArtistDetailsFetcher(
            ArtistLookup(client, clock), database, self._announce, lambda: self.busy, clock
        )

    async def _announce(self) -> None:
        self.announced += 1

    async def take(self, items: list[Any]) -> None:
        await self.database.run(sweeps.record_sweep, sweep(items), self.clock(), self.clock)
        self.details.wake()

    async def ticks(self, number: int) -> None:
        for _ in range(number):
            await self.details.tick()

    async def artists(self) -> list[Artist]:
        statement = select(Artist).order_by(Artist.id)
        return await self.database.run(lambda session: list(session.scalars(statement)))

    def asked(self) -> list[str]:
        """What was asked for: ids, or `many` with their number."""
        return [
            f"many {len(call.query['ids'].split(','))}" if call.path == MANY else call.path[12:]
            for call in self.standin.calls
            if call.path.startswith(MANY)
        ]


@pytest.fixture
def rig(
    start_standin: StartStandIn, database: Database, transport: Transport, clock: Clock
) -> Callable[..., Rig]:
    def make(kind: AppKind = AppKind.EXTENDED, count: int = 120, per_day: int = 500) -> Rig:
        return Rig(start_standin(albums(count), kind=kind), database, transport, clock, per_day)

    return make


@pytest.mark.gen_test
async def test_an_app_that_may_asks_for_fifty_at_once(rig: Callable[..., Rig]) -> None:
    full = rig()
    await full.take(albums(120))
    await full.ticks(10)
    assert full.asked() == ["many 50", "many 50", "many 20"]
    for kept in await full.artists():
        assert kept.refreshed_at == full.clock()
        assert kept.images is not None
        assert kept.genres is not None
        assert kept.followers is not None
    assert full.announced == 3


@pytest.mark.gen_test
async def test_a_restricted_app_asks_one_by_one_and_remembers_that_for_a_day(
    rig: Callable[..., Rig], database: Database
) -> None:
    some = rig(AppKind.RESTRICTED)
    await some.take(albums(3))
    await some.ticks(10)
    ids = [spotify_id("artist", number) for number in range(3)]
    assert some.asked() == ["many 3", *ids]
    kept = (await some.artists())[0]
    assert (kept.genres, kept.popularity, kept.followers) == (None, None, None)
    assert kept.images
    source = await database.run(lambda session: session.get(Source, (APP, "artists")))
    assert source is not None
    assert (source.verdict, source.reason) == ("restricted", "403 Forbidden")
    some.clock.forward(hours=23)
    await some.take(albums(5))
    await some.ticks(10)
    assert some.asked()[4:] == [spotify_id("artist", 3), spotify_id("artist", 4)]
    some.clock.forward(hours=2)
    await some.take(albums(7))
    await some.ticks(10)
    assert some.asked()[6] == "many 2"


@pytest.mark.gen_test
async def test_details_are_good_for_a_week_and_the_oldest_come_first(
    rig: Callable[..., Rig],
) -> None:
    some = rig(AppKind.RESTRICTED)
    await some.take([album(1)])
    await some.ticks(5)
    some.clock.forward(days=1)
    await some.take([album(1), album(2)])
    await some.ticks(5)
    some.clock.forward(days=5, hours=23)
    await some.take([album(1), album(2)])
    before = len(some.asked())
    await some.ticks(5)
    assert len(some.asked()) == before
    some.clock.forward(days=2)
    await some.take([album(1), album(2), album(3)])
    await some.ticks(8)
    asked = [each for each in some.asked()[before:] if not each.startswith("many")]
    assert asked == [spotify_id("artist", number) for number in (3, 1, 2)]


@pytest.mark.gen_test
async def test_what_spotify_leaves_out_stays_as_it_was(
    rig: Callable[..., Rig], database: Database
) -> None:
    some = rig(AppKind.RESTRICTED)
    await some.take([album(1)])
    await database.run(
        lambda session: session.execute(update(Artist).values(genres=["folk"], popularity=7))
    )
    some.standin.answer_next(f"{MANY}/{spotify_id('artist', 1)}", Answer(200, artist(1)))
    await some.ticks(5)
    (kept,) = await some.artists()
    assert (kept.genres, kept.popularity, kept.images) == (["folk"], 7, None)
    assert kept.refreshed_at is not None


@pytest.mark.gen_test
async def test_nothing_is_asked_while_a_sync_runs(rig: Callable[..., Rig]) -> None:
    full = rig()
    await full.take(albums(3))
    full.busy = True
    await full.ticks(3)
    assert full.asked() == []
    full.busy = False
    await full.ticks(3)
    assert full.asked() == ["many 3"]


@pytest.mark.gen_test
async def test_one_call_is_under_way_at_a_time(rig: Callable[..., Rig]) -> None:
    full = rig()
    await full.take(albums(120))
    full.standin.answer_next(MANY, Answer(200, {"artists": []}, {}, delay=0.1))
    await asyncio.gather(*(full.details.tick() for _ in range(5)))
    assert full.asked() == ["many 50"]


@pytest.mark.gen_test
async def test_details_that_have_not_changed_are_told_to_nobody(rig: Callable[..., Rig]) -> None:
    full = rig()
    await full.take(albums(3))
    await full.ticks(3)
    before = [(kept.images, kept.updated_at) for kept in await full.artists()]
    full.clock.forward(days=8)
    await full.take(albums(3))
    await full.ticks(3)
    assert full.asked() == ["many 3"] * 2
    assert [(kept.images, kept.updated_at) for kept in await full.artists()] == before
    assert full.announced == 1


@pytest.mark.gen_test
async def test_an_artist_that_spotify_does_not_know_is_not_asked_for_again(
    rig: Callable[..., Rig],
) -> None:
    for kind in AppKind:
        some = rig(kind, count=0)
        await some.take(albums(2))
        await some.ticks(5)
        before = len(some.asked())
        await some.take(albums(2))
        await some.ticks(5)
        assert len(some.asked()) == before


@pytest.mark.gen_test
async def test_a_pause_is_kept_and_what_was_left_comes_after_it(
    rig: Callable[..., Rig], database: Database
) -> None:
    some = rig(AppKind.RESTRICTED)
    await some.take(albums(3))
    await some.ticks(2)
    path = f"{MANY}/{spotify_id('artist', 1)}"
    some.standin.answer_next(path, Answer(429, b"Too many requests", {"Retry-After": "11"}))
    await some.ticks(20)
    assert len(some.asked()) == 3
    some.clock.forward(seconds=11)
    await some.ticks(20)
    assert len(some.asked()) == 5
    assert all(kept.refreshed_at for kept in await some.artists())
    assert await database.run(lambda session: session.get(Cooldown, (APP, "/artists"))) is None


@pytest.mark.gen_test
async def test_short_pauses_get_longer_each_time_until_an_answer(rig: Callable[..., Rig]) -> None:
    some = rig(AppKind.RESTRICTED)
    await some.take(albums(3))
    await some.ticks(1)
    first, second, third = (f"{MANY}/{spotify_id('artist', number)}" for number in range(3))
    limited = Answer(429, b"Too many requests", {"Retry-After": "1"})
    some.standin.answer_next(first, limited, times=3)
    some.standin.answer_next(second, limited)
    for path, seconds in ((first, 10), (first, 20), (first, 40), (second, 10)):
        await some.ticks(5)
        assert some.standin.calls[-1].path == path
        before = len(some.asked())
        some.clock.forward(seconds=seconds - 1)
        await some.ticks(5)
        assert len(some.asked()) == before
        some.clock.forward(seconds=1)
    await some.ticks(5)
    assert some.standin.calls[-1].path == third


@pytest.mark.gen_test
async def test_the_quota_of_a_day_is_spent_on_the_oldest_and_the_rest_follows(
    rig: Callable[..., Rig],
) -> None:
    some = rig(AppKind.RESTRICTED, per_day=20)
    await some.take(albums(30))
    await some.ticks(60)
    assert len(some.asked()) == 18
    some.clock.forward(hours=26)
    await some.ticks(60)
    assert len(some.asked()) == 32, "and asking for many was tried again"
    assert all(kept.refreshed_at for kept in await some.artists())


@pytest.mark.parametrize(
    "answer",
    [
        Answer(502),
        Answer(200, b"<html>"),
        Answer(200, b"[]"),
        Answer(200, {"artists": None}),
        Answer(200, {"unexpected": True}),
    ],
    ids=["502", "HTML", "a list", "null", "no artists"],
)
@pytest.mark.gen_test
async def test_a_service_that_is_broken_is_left_alone_until_the_next_sync(
    rig: Callable[..., Rig], answer: Answer
) -> None:
    full = rig(count=200)
    await full.take(albums(200))
    full.standin.answer_next(MANY, answer, times=100)
    await full.ticks(20)
    assert full.asked() == ["many 50"] * 3
    full.standin.world.script.clear()
    await full.take(albums(200))
    await full.ticks(20)
    assert all(kept.refreshed_at for kept in await full.artists())


def refuse(some: Rig, *numbers: int, status: int = 403) -> None:
    """Let Spotify refuse these artists, as long as the test goes on."""
    error = {"error": {"status": status, "message": "Forbidden"}}
    for number in numbers:
        path = f"{MANY}/{spotify_id('artist', number)}"
        some.standin.answer_next(path, Answer(status, error), times=100)


@pytest.mark.parametrize("status", [403, 410])
@pytest.mark.gen_test
async def test_an_endpoint_that_is_refused_altogether_is_asked_again_a_day_later(
    rig: Callable[..., Rig], status: int
) -> None:
    some = rig(AppKind.RESTRICTED)
    await some.take(albums(8))
    refuse(some, *range(8), status=status)
    with capture_logs() as logs:
        for _ in range(3):
            await some.ticks(10)
            some.details.wake()
    assert some.asked() == ["many 8", *(spotify_id("artist", number) for number in range(3))]
    assert [line["event"] for line in logs].count("details_refused") == 1
    some.standin.world.script.clear()
    some.clock.forward(days=1)
    await some.ticks(20)
    assert all(kept.refreshed_at for kept in await some.artists())


@pytest.mark.parametrize("status", [403, 410])
@pytest.mark.gen_test
async def test_an_artist_that_is_refused_keeps_no_other_from_being_asked_for(
    rig: Callable[..., Rig], status: int
) -> None:
    some = rig(AppKind.RESTRICTED)
    await some.take(albums(6))
    refuse(some, 0, 1, 3, 4, status=status)
    await some.ticks(10)
    lacking = [kept.spotify_id for kept in await some.artists() if not kept.refreshed_at]
    assert lacking == [spotify_id("artist", number) for number in (0, 1, 3, 4)]
    assert len(some.asked()) == 7


@pytest.mark.gen_test
async def test_an_artist_that_is_refused_is_asked_for_once_a_day(rig: Callable[..., Rig]) -> None:
    some = rig(AppKind.RESTRICTED)
    refused = spotify_id("artist", 0)
    refuse(some, 0)
    for number in range(1, 4):
        await some.take(albums(number))
        await some.ticks(10)
        assert all(kept.refreshed_at for kept in (await some.artists())[1:])
    assert some.asked().count(refused) == 1
    some.clock.forward(days=1)
    await some.take(albums(3))
    await some.ticks(10)
    assert some.asked().count(refused) == 2


@pytest.mark.gen_test
async def test_refusals_that_are_not_in_a_row_end_no_day(rig: Callable[..., Rig]) -> None:
    some = rig(AppKind.RESTRICTED)
    await some.take(albums(7))
    refuse(some, 0, 2, 4)
    await some.ticks(10)
    assert sum(kept.refreshed_at is not None for kept in await some.artists()) == 4


@pytest.mark.gen_test
async def test_failures_that_are_not_in_a_row_end_no_round(rig: Callable[..., Rig]) -> None:
    some = rig(AppKind.RESTRICTED)
    await some.take(albums(7))
    for number in (0, 1, 3, 4):
        path = f"{MANY}/{spotify_id('artist', number)}"
        some.standin.answer_next(path, Answer(502))
    await some.ticks(10)
    assert [kept.refreshed_at is not None for kept in await some.artists()] == [
        number in (2, 5, 6) for number in range(7)
    ]


@pytest.mark.gen_test
async def test_however_many_artists_fail_every_time_the_others_have_their_turn(
    rig: Callable[..., Rig],
) -> None:
    some = rig(AppKind.RESTRICTED)
    await some.take(albums(8))
    for number in range(6):
        path = f"{MANY}/{spotify_id('artist', number)}"
        some.standin.answer_next(path, Answer(502), times=100)
    for _ in range(4):
        await some.ticks(10)
        some.details.wake()
    lacking = [kept.spotify_id for kept in await some.artists() if not kept.refreshed_at]
    assert lacking == [spotify_id("artist", number) for number in range(6)]


@pytest.mark.parametrize("failure", [Answer(200, b"<html>"), Answer(500)])
@pytest.mark.gen_test
async def test_one_artist_that_spoils_the_answer_for_fifty_harms_one_artist(
    rig: Callable[..., Rig], failure: Answer
) -> None:
    some = rig(count=60)
    poisoned = spotify_id("artist", 0)
    some.standin.answer_next(f"{MANY}/{poisoned}", failure, times=9)
    for _ in range(6):
        some.standin.answer_next(MANY, failure)  # the first group has the artist in it
        await some.take(albums(60))
        await some.ticks(20)
    lacking = [each.spotify_id for each in await some.artists() if each.refreshed_at is None]
    assert lacking == [poisoned]
    groups = [each for each in some.asked() if each.startswith("many")]
    sizes = (50, 10, 25, 25, 12, 12, 6, 6, 3, 3)
    assert groups == [f"many {size}" for size in sizes]


@pytest.mark.parametrize("fault", TEXTS)
@pytest.mark.gen_test
async def test_a_text_that_breaks_the_rules_of_json_costs_no_artist(
    rig: Callable[..., Rig], fault: str
) -> None:
    some = rig(count=3)
    some.standin.misbehave(fault, MANY, times=None)
    await some.take(albums(3))
    await some.ticks(2)
    assert some.asked() == ["many 3"]
    assert all(each.images is not None for each in await some.artists())


@pytest.mark.gen_test
async def test_a_database_that_is_away_loses_nothing(rig: Callable[..., Rig]) -> None:
    full = rig()
    await full.take(albums(3))
    engine = full.database.engine
    full.database._engine = None
    await full.ticks(3)
    full.database._engine = engine
    full.details.wake()
    await full.ticks(3)
    assert all(kept.refreshed_at for kept in await full.artists())


@pytest.mark.gen_test
async def test_a_database_that_goes_in_the_middle_of_a_round_ends_it(
    rig: Callable[..., Rig],
) -> None:
    some = rig(AppKind.RESTRICTED)
    await some.take(albums(5))
    await some.ticks(1)
    engine = some.database.engine
    some.database._engine = None
    with capture_logs() as logs:
        await some.ticks(5)
    some.database._engine = engine
    assert some.asked() == ["many 5", spotify_id("artist", 0)]
    assert [line["event"] for line in logs].count("details_failed") == 1


@pytest.mark.gen_test
async def test_details_of_a_clock_that_ran_ahead_are_old_once_it_is_put_right(
    rig: Callable[..., Rig],
) -> None:
    full = rig()
    right = full.clock.moment
    full.clock.forward(days=400)
    await full.take(albums(3))
    await full.ticks(3)
    full.clock.moment = right
    await full.take(albums(3))
    await full.ticks(3)
    assert full.asked() == ["many 3"] * 2
    assert [kept.refreshed_at for kept in await full.artists()] == [right] * 3


@pytest.mark.gen_test
async def test_a_refusal_of_many_at_once_by_a_clock_that_ran_ahead_is_not_believed_either(
    rig: Callable[..., Rig],
) -> None:
    some = rig(AppKind.RESTRICTED)
    right = some.clock.moment
    some.clock.forward(days=400)
    await some.take(albums(2))
    await some.ticks(2)
    some.clock.moment = right
    await some.ticks(2)
    assert some.asked() == ["many 2", spotify_id("artist", 0), spotify_id("artist", 1)]
    await some.take(albums(4))
    await some.ticks(1)
    assert some.asked()[3] == "many 3", "those two, and one whose details seem to be of the future"


@pytest.mark.gen_test
async def test_the_server_serves_the_images_that_came(
    start_standin: StartStandIn, start_freshet: StartFreshet
) -> None:
    freshet = await start_freshet(start_standin(albums(3), kind=AppKind.RESTRICTED))
    first = freshet.cache.snapshot
    assert first is not None
    synced_at = first.freshness.synced_at
    assert synced_at is not None
    await until(lambda: freshet.syncer.seconds_left() > 0)  # the first sync is over
    for _ in range(6):
        await freshet.details.tick()
    last = freshet.cache.snapshot
    assert last is not None
    fields = [orjson.loads(entry.artists[0].json) for entry in last.albums]
    assert any(each["images"] for each in fields)
    freshness = last.freshness
    assert freshness.as_of is not None
    assert (freshness.synced_at, freshness.as_of > synced_at) == (synced_at, True)


def test_broken_artist_objects_are_left_out_and_odd_fields_are_not_said() -> None:
    good = artist(1, images=[{"url": "https://i.scdn.co/x"}], genres=["a", 5], popularity=True)
    odd = artist(2, images=None, genres="rock", followers=17, popularity=-3)
    parsed = parse_artists([None, "text", {"id": "short"}, good, odd])
    assert [each.spotify_id for each in parsed] == [spotify_id("artist", n) for n in (1, 2)]
    assert parsed[0].images is not None
    assert (parsed[0].genres, parsed[0].popularity) == (["a"], None)
    odd_fields = (parsed[1].images, parsed[1].genres, parsed[1].followers, parsed[1].popularity)
    assert odd_fields == (None, None, None, None)
