"""Markets that Spotify refuses are left out, told once, tried again daily, and cost no release."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import select

from models import Change, Listing, Source, SyncRun
from server.database.executor import Database
from server.errors import MarketRefused
from server.spotify.api.markets import Markets, served
from server.spotify.types import Verdict
from server.standin import Answer, AppKind
from tests.support.clock import Clock
from tests.support.examples import album, albums, spotify_id
from tests.support.login_browser import SetStage, read_page
from tests.support.standins import StartStandIn
from tests.support.sync_rig import NEW_RELEASES, SEARCH, Rig

MakeRig = Callable[..., Rig]


def asked(some: Rig) -> list[str]:
    return [call.query["market"] for call in some.standin.calls if call.path == SEARCH]


def gone(some: Rig) -> list[str]:
    return [row.album for row in some.rows(Change) if row.kind == "gone"]


def refusals(logs: list[Any]) -> list[tuple[str, str]]:
    return [(each["market"], each["reason"]) for each in logs if each["event"] == "market_refused"]


@pytest.fixture
def searching(rig: MakeRig) -> MakeRig:
    """A rig of a new app, which has nothing but search."""

    def make(markets: str, items: list[Any] | None = None, **settings: Any) -> Rig:
        items = albums(5) if items is None else items
        return rig(items, kind=AppKind.RESTRICTED, sync_markets=markets or None, **settings)

    return make


@pytest.mark.parametrize("markets", ["DE,RU,US", "RU,DE,US"])
@pytest.mark.gen_test
async def test_a_sync_is_complete_without_a_market_that_is_refused(
    searching: MakeRig, clock: Clock, markets: str
) -> None:
    some = searching(markets)
    report, logs = await some.sync()
    assert (report.outcome, report.seen, report.error) == ("complete", 5, None)
    assert refusals(logs) == [("RU", "400 Invalid market code")]
    assert {row.market for row in some.rows(Listing)} == {"DE", "US"}
    assert asked(some) == markets.split(",")
    clock.forward(hours=23)
    report, logs = await some.sync()
    assert (report.outcome, refusals(logs)) == ("complete", [])
    assert asked(some)[3:] == ["DE", "US"]
    clock.forward(hours=2)
    report, logs = await some.sync()
    assert (report.outcome, refusals(logs)) == ("complete", []), "it is told once"
    assert asked(some)[5:] == markets.split(",")


@pytest.mark.gen_test
async def test_a_market_that_is_launched_is_read_within_a_day_and_told(
    searching: MakeRig, clock: Clock
) -> None:
    some = searching("DE,SE")
    some.standin.unlaunched = {"SE"}
    _, logs = await some.sync()
    assert refusals(logs) == [("SE", "400 Unlaunched market")]
    some.standin.unlaunched = ()
    clock.forward(hours=25)
    report, logs = await some.sync()
    assert report.outcome == "complete"
    assert [each["market"] for each in logs if each["event"] == "market_served"] == ["SE"]
    assert {row.market for row in some.rows(Listing)} == {"DE", "SE"}


@pytest.mark.gen_test
async def test_a_refusal_outlasts_a_restart(searching: MakeRig) -> None:
    await searching("RU,DE").sync()
    again = searching("RU,DE")
    report, logs = await again.sync()
    assert (report.outcome, refusals(logs), asked(again)) == ("complete", [], ["DE"])
    verdicts = {row.name: (row.verdict, row.reason) for row in again.rows(Source)}
    assert verdicts["search:RU"] == ("restricted", "400 Invalid market code")
    assert verdicts["search:DE"] == ("allowed", None)


@pytest.mark.gen_test
async def test_a_market_that_only_fails_is_not_refused(searching: MakeRig) -> None:
    some = searching("DE,US")
    some.standin.answer_next(SEARCH, Answer(400, b"Limit + Offset exceeds maximum of 1000"))
    report, logs = await some.sync()
    assert (report.outcome, refusals(logs)) == ("failed", [])


@pytest.mark.gen_test
async def test_a_market_that_is_refused_in_the_middle_keeps_what_came(searching: MakeRig) -> None:
    some = searching("DE,US", albums(25))
    page = {"albums": {"items": albums(10), "next": "?offset=10", "total": 25}}
    some.standin.answer_next(SEARCH, Answer(200, page))
    some.standin.answer_next(SEARCH, Answer(400, b"Unlaunched market"))
    report, logs = await some.sync()
    assert (report.outcome, report.seen, refusals(logs)) == (
        "complete",
        25,
        [("DE", "400 Unlaunched market")],
    )
    assert len([row for row in some.rows(Listing) if row.market == "DE"]) == 10


# When all are refused


@pytest.mark.parametrize("source", ["auto", "search"])
@pytest.mark.gen_test
async def test_where_all_markets_are_refused_the_sync_fails_and_says_how_to_fix_it(
    searching: MakeRig, clock: Clock, source: str
) -> None:
    some = searching("RU,KP", sync_source=source)
    report, logs = await some.sync()
    assert report.outcome == "failed"
    assert report.error == (
        "MarketRefused: Spotify serves none of SYNC_MARKETS: RU (400 Invalid market code), "
        "KP (400 Invalid market code); correct it, or leave it empty to search without a market"
    )
    assert [market for market, _ in refusals(logs)] == ["RU", "KP"]
    calls = len(some.standin.calls)
    clock.forward(minutes=50)
    report, logs = await some.sync()
    assert (report.outcome, report.calls, refusals(logs)) == ("failed", 0, [])
    assert len(some.standin.calls) == calls
    clock.forward(minutes=20)
    await some.sync()
    assert asked(some) == ["RU", "KP"] * 2, "for one odd answer must not stop syncs for a day"
    assert some.standin.calls_to(NEW_RELEASES) <= 1


@pytest.mark.gen_test
async def test_once_the_setting_is_corrected_the_next_sync_is_complete(searching: MakeRig) -> None:
    assert (await searching("RU").sync())[0].outcome == "failed"
    assert (await searching("RU,DE").sync())[0].outcome == "complete"
    report, _ = await searching("").sync()
    assert (report.outcome, report.seen) == ("complete", 5)


@pytest.mark.gen_test
async def test_where_new_releases_may_be_read_refused_markets_stop_nothing(rig: MakeRig) -> None:
    some = rig(albums(5), sync_markets="RU")
    report, logs = await some.sync()
    assert (report.outcome, report.source) == ("complete", "new-releases")
    assert [market for market, _ in refusals(logs)] == ["RU"]


# What stood in the list of a market that is refused


@pytest.mark.gen_test
async def test_what_is_listed_in_a_refused_market_alone_is_gone_after_a_week_and_not_before(
    searching: MakeRig, clock: Clock
) -> None:
    items = [*albums(3), album(7, available_markets=["SE"]), album(8, available_markets=["SE"])]
    items[:3] = [each | {"available_markets": ["DE", "SE"]} for each in items[:3]]
    some = searching("DE,SE", items)
    await some.sync()
    some.standin.unlaunched = {"SE"}
    clock.forward(hours=25)
    for hours in (1, 23, 24, 48, 71):
        report, _ = await some.sync()
        assert (report.outcome, gone(some)) == ("complete", [])
        clock.forward(hours=hours)
    report, _ = await some.sync()
    assert (report.outcome, gone(some)) == ("complete", [])
    clock.forward(hours=1)
    await some.sync()
    assert gone(some) == [spotify_id("album", 7), spotify_id("album", 8)]
    assert {row.market for row in some.rows(Listing) if row.until is None} == {"DE"}


@pytest.mark.gen_test
async def test_when_a_market_is_served_again_its_first_list_makes_nothing_gone(
    searching: MakeRig, clock: Clock
) -> None:
    items = [each | {"available_markets": ["SE"]} for each in albums(25)]
    some = searching("DE,SE", items)
    await some.sync()
    some.standin.unlaunched = {"SE"}
    for _ in range(3):
        clock.forward(hours=25)
        await some.sync()
    some.standin.unlaunched = ()
    clock.forward(hours=25)
    missing = some.standin.catalogue.albums.pop(7)
    report, _ = await some.sync()
    assert (report.outcome, report.gone) == ("complete", 0)
    missed = [row for row in some.rows(Listing) if row.missed_since is not None]
    assert len(missed) == 1, "all that was met is no longer missed"
    await some.sync()
    assert gone(some) == [missing["id"]]


@pytest.mark.gen_test
async def test_what_stood_in_a_market_that_is_no_longer_wanted_is_gone_at_once(
    searching: MakeRig,
) -> None:
    items = [album(1), album(2, available_markets=["SE"])]
    await searching("DE,SE", items).sync()
    report, _ = await searching("DE", items).sync()
    assert report.gone == 1


# Quota and pace


@pytest.mark.gen_test
async def test_only_markets_that_are_asked_count_for_the_pace(
    searching: MakeRig, database: Database
) -> None:
    some = searching("DE,RU,CN", albums(100), quota_per_day=600)
    pace = some.syncer._pacing
    assert (await pace.outlook("search")).calls == 30
    await some.syncer.tick()
    assert (await pace.outlook("search")).calls == 10
    assert some.syncer.schedule.interval == pytest.approx(25 * 3600 / (270 // 10), rel=0.1)


def test_a_market_is_asked_for_again_a_day_after_its_refusal_and_all_after_an_hour(
    clock: Clock,
) -> None:
    now = clock()
    known = {
        "RU": Verdict(False, "400", now - timedelta(hours=23)),
        "BY": Verdict(False, "400", now - timedelta(hours=25)),
        "DE": Verdict(True, None, now - timedelta(days=9)),
        "KP": Verdict(False, "400", now + timedelta(days=1)),  # by a clock that ran ahead
    }
    assert served(["RU", "BY", "DE", "KP", "US"], known, now) == ["BY", "DE", "KP", "US"]
    assert served(["RU"], known, now) == ["RU"], "none is served, so it is asked for hourly"
    assert served(["RU", "BY"], known, now - timedelta(hours=23, minutes=30)) == ["RU", "BY"]
    assert served([], known, now) == []


def test_what_is_known_of_a_market_is_written_down_again_only_once_a_day(clock: Clock) -> None:
    now = clock()
    known = {"DE": Verdict(True, None, now - timedelta(hours=1))}
    markets = Markets(["DE", "SE"], known, now)
    markets.accept("DE")
    markets.accept("")
    assert markets.learnt == {}
    markets.accept("SE")
    assert markets.learnt == {"SE": Verdict(True, None, now)}
    markets.refuse("DE", MarketRefused("400 Unlaunched market"))
    assert (markets.requested("search"), markets.skipped("search")) == (["SE"], ["DE"])
    assert (markets.requested("new-releases"), markets.skipped("new-releases")) == ([""], [])


# What people and programs see


@pytest.mark.gen_test
async def test_the_status_tells_each_market_and_why_it_is_refused(
    set_stage: SetStage, start_standin: StartStandIn, clock: Clock
) -> None:
    standin = start_standin(albums(3), kind=AppKind.RESTRICTED, unlaunched={"SE"}, clock=clock)
    stage = await set_stage(standin, sync_markets="SE,DE")
    browser = stage.browser()
    before = orjson.loads((await browser.get("/api/status")).body)["markets"]
    unknown = {"verdict": "unknown", "reason": None, "probed_at": None}
    assert before == [{"market": market, **unknown} for market in ("SE", "DE")]
    await stage.freshet.syncer.sync()
    told = orjson.loads((await browser.get("/api/status")).body)
    assert told["markets"] == [
        {
            "market": "SE",
            "verdict": "refused",
            "reason": "400 Unlaunched market",
            "probed_at": "2026-11-20T05:00:12Z",
        },
        {
            "market": "DE",
            "verdict": "allowed",
            "reason": None,
            "probed_at": "2026-11-20T05:00:12Z",
        },
    ]
    assert [each["name"] for each in told["sources"]] == ["new-releases", "search"]
    assert (told["last_sync"]["outcome"], told["partial"]) == ("complete", False)
    page = " ".join(read_page(await browser.get("/status")).split())
    assert "DE: served" in page
    assert 'SE: refused <span class="soft">(400 Unlaunched market; tried' in page


@pytest.mark.gen_test
async def test_where_no_market_is_wanted_none_is_told(set_stage: SetStage) -> None:
    browser = (await set_stage()).browser()
    assert orjson.loads((await browser.get("/api/status")).body)["markets"] == []
    assert "Markets" not in read_page(await browser.get("/status"))


@pytest.mark.gen_test
async def test_a_sync_that_was_failed_by_its_markets_names_their_kind_of_error(
    searching: MakeRig,
) -> None:
    some = searching("RU")
    await some.sync()
    (run,) = some.rows(SyncRun)
    assert (run.outcome, str(run.error).partition(":")[0]) == ("failed", "MarketRefused")
    assert await some.database.run(lambda session: session.scalar(select(Listing.id))) is None
