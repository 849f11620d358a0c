"""The cycle against the stand-in: it never dies, overlaps or lies."""

import asyncio
from collections.abc import Callable

import orjson
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session
from structlog.testing import capture_logs

from models import Album, Listing, Login, Source, SyncRun
from server.database.executor import Database
from server.request_errors import SyncRunning
from server.spotify.limits.ceiling import Ceiling
from server.standin import Answer, AppKind
from server.standin.faults.definitions import TEXTS
from server.sync import sync_lock
from tests.support.clock import Clock
from tests.support.examples import album, albums
from tests.support.sync_rig import NEW_RELEASES, OUTCOMES, SEARCH, Rig
from tests.support.waiting import until


@pytest.mark.gen_test
async def test_all_pages_come_in_and_the_end_is_announced_once(rig: Callable[..., Rig]) -> None:
    full = rig(albums(95))
    report, logs = await full.sync()
    assert (report.outcome, report.source) == ("complete", "new-releases")
    assert (report.seen, report.added, report.pages) == (95, 95, 2)
    assert report.calls == 3, "the other source was probed, to see which is fresher"
    assert full.announced == 1
    assert [line["event"] for line in logs if line["event"] in OUTCOMES] == ["sync_finished"]
    assert len(full.rows(Album)) == 95


@pytest.mark.gen_test
async def test_a_sync_that_has_its_turn_is_told_of_when_it_begins(rig: Callable[..., Rig]) -> None:
    full = rig(albums(5), sync_source="new-releases")
    _, logs = await full.sync()
    begun = {"event": "sync_started", "source": "new-releases", "trigger": "clock"}
    told = [line for line in logs if line["event"] in ("sync_started", *OUTCOMES)]
    assert [line["event"] for line in told] == ["sync_started", "sync_finished"]
    assert told[0].items() >= begun.items()
    with capture_logs() as logs:
        await full.syncer.sync(purpose="interactive")
    assert [line["trigger"] for line in logs if line["event"] == "sync_started"] == ["person"]
    others = await sync_lock.take(full.database)
    with capture_logs() as logs, pytest.raises(SyncRunning):
        await full.syncer.sync()
    await others.release()
    assert logs == []


@pytest.mark.gen_test
async def test_where_new_releases_is_refused_search_is_asked_and_that_is_remembered(
    rig: Callable[..., Rig],
) -> None:
    restricted = rig(albums(35), kind=AppKind.RESTRICTED)
    first, _ = await restricted.sync()
    second, _ = await restricted.sync()
    assert (first.source, first.seen, first.calls) == ("search", 35, 5)
    assert (second.source, second.calls) == ("search", 4)
    assert restricted.standin.calls_to(NEW_RELEASES) == 1
    verdicts = {row.name: row.verdict for row in restricted.rows(Source)}
    assert verdicts == {"new-releases": "restricted", "search": "allowed"}


@pytest.mark.gen_test
async def test_a_refusal_is_remembered_though_the_sync_fails_for_a_pause_of_the_other(
    rig: Callable[..., Rig],
) -> None:
    restricted = rig(albums(35), kind=AppKind.RESTRICTED)
    restricted.standin.answer_next("/v1/search", Answer(429, b"", {"Retry-After": "600"}))
    for _ in range(3):
        report, _ = await restricted.sync()
        assert report.outcome == "failed"
    assert restricted.standin.calls_to(NEW_RELEASES) == 1
    assert restricted.standin.calls_to("/v1/search") == 1
    assert [(row.name, row.verdict) for row in restricted.rows(Source)] == [
        ("new-releases", "restricted")
    ]


@pytest.mark.gen_test
async def test_one_token_serves_every_sync(rig: Callable[..., Rig]) -> None:
    full = rig(albums(3))
    for _ in range(3):
        await full.sync()
    assert full.standin.calls_to("/api/token") == 1
    (login,) = full.rows(Login)
    assert login.account_id == "app:standin-client"


@pytest.mark.gen_test
async def test_an_expired_token_costs_one_renewal_and_no_release(rig: Callable[..., Rig]) -> None:
    full = rig(albums(3))
    await full.sync()
    full.standin.expire_tokens()
    report, _ = await full.sync()
    assert report.outcome == "complete"
    assert full.standin.calls_to("/api/token") == 2


@pytest.mark.gen_test
async def test_a_broken_item_is_skipped_and_counted(rig: Callable[..., Rig]) -> None:
    full = rig([None, album(1), {"id": "short"}, album(2), "text", album(1)])
    report, _ = await full.sync()
    assert (report.outcome, report.seen, report.skipped) == ("complete", 2, 3)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(502, {"error": {"status": 502, "message": "Bad gateway."}}),
        Answer(200, b'{"albums": {"items": [{"id'),
        Answer(200, {"albums": {"items": None}}),
        Answer(200, {"unexpected": True}),
        Answer(200, b"<html>maintenance</html>"),
        Answer(429, b"Too many requests", {"Retry-After": "11"}),
    ],
    ids=["502", "cut JSON", "null items", "no albums", "HTML", "429"],
)
@pytest.mark.gen_test
async def test_a_page_that_fails_in_the_middle_makes_the_sync_partial(
    rig: Callable[..., Rig], answer: Answer
) -> None:
    full = rig(albums(60))
    await full.sync()
    listed = len(full.rows(Listing))
    first_page = orjson.dumps({"albums": {"items": [album(500)], "next": "?offset=50"}})
    full.standin.answer_next(NEW_RELEASES, Answer(200, first_page))
    full.standin.answer_next(NEW_RELEASES, answer, times=2)
    report, logs = await full.sync()
    assert (report.outcome, report.added, report.gone) == ("partial", 1, 0)
    assert report.error
    assert len(full.rows(Listing)) == listed + 1
    assert all(row.until is None for row in full.rows(Listing)), "nothing is marked gone"
    assert full.announced == 2
    assert [line["event"] for line in logs if line["event"] in OUTCOMES] == ["sync_finished"]


@pytest.mark.parametrize("fault", TEXTS)
@pytest.mark.parametrize("source", ["new-releases", "search"])
@pytest.mark.gen_test
async def test_a_text_that_breaks_the_rules_of_json_costs_no_release(
    rig: Callable[..., Rig], fault: str, source: str
) -> None:
    full = rig(albums(15), sync_source=source)
    full.standin.misbehave(fault, times=None)
    report, _ = await full.sync()
    assert (report.outcome, report.seen, report.skipped) == ("complete", 15, 0)
    assert {"Album 1", "Album 7"} <= {row.name for row in full.rows(Album)}


@pytest.mark.gen_test
async def test_a_page_that_cannot_be_read_keeps_no_later_page_away_and_nothing_is_gone(
    rig: Callable[..., Rig],
) -> None:
    some = rig(albums(35), kind=AppKind.RESTRICTED)
    await some.sync()
    some.standin.catalogue.albums.append(album(100))
    page = {"albums": {"items": albums(10), "next": "?offset=10", "total": 36}}
    for _ in range(3):
        some.standin.answer_next(SEARCH, Answer(200, page))
        some.standin.answer_next(SEARCH, Answer(200, b"<html>"), times=2)
        report, logs = await some.sync()
        assert (report.outcome, report.seen, report.pages_skipped) == ("partial", 26, 1)
        assert report.error == "BadAnswer: the page at offset 10 was skipped: not JSON: '<html>'"
        assert report.gone == 0
    (told,) = [line for line in logs if line["event"] in OUTCOMES]
    assert told["pages_skipped"] == 1
    assert [run.added for run in some.rows(SyncRun)] == [35, 1, 0, 0]
    assert all(row.until is None for row in some.rows(Listing))
    assert all(row.missed_since is None for row in some.rows(Listing))


@pytest.mark.gen_test
async def test_a_first_page_that_stays_unreadable_costs_only_what_is_on_it(
    rig: Callable[..., Rig],
) -> None:
    some = rig(albums(35), kind=AppKind.RESTRICTED)
    some.standin.answer_next(SEARCH, Answer(200, b"<html>"))
    report, _ = await some.sync()
    assert (report.outcome, report.seen) == ("failed", 0)
    for _ in range(2):
        some.standin.answer_next(SEARCH, Answer(200, b"<html>"))
        report, _ = await some.sync()
        assert (report.outcome, report.source, report.seen) == ("partial", "search", 25)
        assert (report.pages, report.pages_skipped, report.gone) == (3, 1, 0)
    assert some.standin.calls_to(NEW_RELEASES) <= 2, "a refusal is remembered all the same"


@pytest.mark.parametrize(
    "answer",
    [
        Answer(500, b""),
        Answer(200, b"not json"),
        Answer(429, b"Too many requests", {"Retry-After": "86400"}),
        Answer(403, b"Active premium subscription required for the owner of the app."),
    ],
    ids=["500", "not JSON", "429", "no Premium"],
)
@pytest.mark.gen_test
async def test_a_first_page_that_fails_makes_the_sync_failed_and_loses_nothing(
    rig: Callable[..., Rig], answer: Answer
) -> None:
    full = rig(albums(5))
    await full.sync()
    for path in (NEW_RELEASES, SEARCH):
        full.standin.answer_next(path, answer)
    report, logs = await full.sync()
    assert (report.outcome, report.seen) == ("failed", 0)
    assert report.error
    assert full.announced == 1, "what is served stays"
    assert len(full.rows(Album)) == 5
    (told,) = [line for line in logs if line["event"] in OUTCOMES]
    assert (told["event"], told["paused"]) == ("sync_failed", answer.status == 429)
    assert told["log_level"] == ("warning" if answer.status == 429 else "error")
    assert [run.outcome for run in full.rows(SyncRun)] == ["complete", "failed"]


@pytest.mark.gen_test
async def test_after_a_429_the_timer_keeps_away(rig: Callable[..., Rig]) -> None:
    full = rig(albums(5))
    limit = Answer(429, b"Too many requests", {"Retry-After": "86400"})
    for path in (NEW_RELEASES, SEARCH):
        full.standin.answer_next(path, limit)
    await full.sync()
    asked = len(full.standin.calls)
    await full.syncer.tick()
    await full.syncer.tick()
    assert len(full.standin.calls) == asked


@pytest.mark.gen_test
async def test_two_syncs_do_not_overlap(rig: Callable[..., Rig]) -> None:
    full = rig(albums(5))
    answered = asyncio.Event()
    full.standin.answer_next(NEW_RELEASES, Answer(500, held=answered))
    first = asyncio.create_task(full.syncer.sync())
    await until(lambda: not full.standin.world.script[NEW_RELEASES])
    await full.syncer.tick()
    answered.set()
    await first
    assert full.standin.calls_to(NEW_RELEASES) == 1


@pytest.mark.gen_test
async def test_the_timer_syncs_when_it_is_due_and_not_before(rig: Callable[..., Rig]) -> None:
    full = rig(albums(5), sync_interval=3600)
    for _ in range(3):
        await full.syncer.tick()
    assert full.standin.calls_to(NEW_RELEASES) == 1


@pytest.mark.gen_test
async def test_a_sync_that_is_stopped_says_so_and_leaves_nothing_half(
    rig: Callable[..., Rig],
) -> None:
    full = rig(albums(5))
    full.standin.answer_next(NEW_RELEASES, Answer(200, held=asyncio.Event()))
    with capture_logs() as logs:
        running = asyncio.create_task(full.syncer.sync())
        await until(lambda: full.standin.calls_to("/api/token"))
        await full.syncer.stop()
    assert running.cancelled()
    events = [line["event"] for line in logs]
    assert "sync_cancelled" in events
    assert not set(events) & set(OUTCOMES), "a deploy is no alarm"
    assert full.rows(SyncRun) == []


@pytest.mark.gen_test
async def test_a_sync_that_is_stopped_keeps_what_it_has_learnt_of_the_sources(
    rig: Callable[..., Rig],
) -> None:
    restricted = rig(albums(25), kind=AppKind.RESTRICTED)
    page = {"albums": {"items": albums(10), "next": "?offset=10", "total": 25}}
    restricted.standin.answer_next("/v1/search", Answer(200, page))
    restricted.standin.answer_next("/v1/search", Answer(200, page, held=asyncio.Event()))
    running = asyncio.create_task(restricted.syncer.sync())
    await until(lambda: not restricted.standin.world.script["/v1/search"])
    await restricted.syncer.stop()
    assert running.cancelled()
    assert restricted.rows(SyncRun) == []
    verdicts = {row.name: row.verdict for row in restricted.rows(Source)}
    assert verdicts == {"new-releases": "restricted", "search": "allowed"}


@pytest.mark.gen_test
async def test_verdicts_are_stored_with_the_failure_of_a_sync_whose_sweep_cannot_be_stored(
    rig: Callable[..., Rig],
) -> None:
    restricted = rig(albums(5), kind=AppKind.RESTRICTED)
    with Session(restricted.database.engine) as session, session.begin():
        session.execute(text("ALTER TABLE albums ADD CHECK (name IS NULL)"))
    report, _ = await restricted.sync()
    assert (report.outcome, restricted.rows(Album)) == ("failed", [])
    verdicts = {row.name: row.verdict for row in restricted.rows(Source)}
    assert verdicts == {"new-releases": "restricted", "search": "allowed"}


@pytest.mark.gen_test
async def test_wrong_credentials_are_named(rig: Callable[..., Rig]) -> None:
    full = rig(albums(5), client_secret="wrong")
    report, _ = await full.sync()
    assert report.outcome == "failed"
    assert "CLIENT_SECRET" in (report.error or "")


@pytest.mark.gen_test
async def test_a_database_that_is_gone_makes_the_sync_failed_and_not_the_process(
    rig: Callable[..., Rig],
) -> None:
    full = rig(albums(5))
    full.database.engine.dispose()
    full.database._replace_engine(full.database.engine.url.set(database="nowhere"))
    report, logs = await full.sync()
    assert report.outcome == "failed"
    assert "DatabaseUnavailable" in (report.error or "")
    assert [line["event"] for line in logs if line["event"] in OUTCOMES] == ["sync_failed"]


@pytest.mark.gen_test
async def test_a_sweep_ends_at_the_most_releases_wanted(rig: Callable[..., Rig]) -> None:
    some = rig(albums(90), kind=AppKind.RESTRICTED, sync_max_releases=20)
    report, _ = await some.sync()
    assert (report.seen, report.calls, report.outcome) == (20, 3, "complete")


@pytest.mark.gen_test
async def test_progress_is_told_page_by_page(rig: Callable[..., Rig]) -> None:
    restricted = rig(albums(25), kind=AppKind.RESTRICTED)
    told: list[tuple[int, int | None]] = []
    await restricted.syncer.sync(lambda seen, total: told.append((seen, total)))
    assert [seen for seen, _ in told] == [10, 20, 25]
    assert {total for _, total in told} == {25}


# Sources that change, markets, time


@pytest.mark.gen_test
async def test_a_source_that_changes_is_told_with_the_reason(
    rig: Callable[..., Rig], clock: Clock
) -> None:
    some = rig(albums(5))
    _, logs = await some.sync()
    assert "source_changed" not in [line["event"] for line in logs]
    some.standin.world.kind = AppKind.RESTRICTED
    _, logs = await some.sync()
    (line,) = [line for line in logs if line["event"] == "source_changed"]
    assert (line["old"], line["source"]) == ("new-releases", "search")
    assert line["why"] == "new-releases is refused: 403 Forbidden"
    assert [row.why for row in some.rows(SyncRun)][-1] == line["why"]


@pytest.mark.gen_test
async def test_every_market_is_asked_for_and_an_album_of_two_comes_once(
    rig: Callable[..., Rig],
) -> None:
    items = [
        album(1, available_markets=["DE", "US"]),
        album(2, available_markets=["DE"]),
        album(3, available_markets=["US"]),
    ]
    some = rig(items, kind=AppKind.RESTRICTED, sync_markets=("DE", "US"))
    report, _ = await some.sync()
    assert (report.outcome, report.seen, report.added, report.pages) == ("complete", 3, 3, 2)
    asked = [call.query["market"] for call in some.standin.calls if call.path == SEARCH]
    assert asked == ["DE", "US"]
    places = sorted((row.market, row.position) for row in some.rows(Listing))
    assert places == [("DE", 0), ("DE", 1), ("US", 0), ("US", 1)]


@pytest.mark.gen_test
async def test_one_market_that_fails_does_not_keep_the_next_from_being_asked(
    rig: Callable[..., Rig],
) -> None:
    some = rig(albums(15), kind=AppKind.RESTRICTED, sync_markets=("DE", "US"))
    page = {"albums": {"items": albums(10), "next": "?offset=10"}}
    some.standin.answer_next(SEARCH, Answer(200, page))
    some.standin.answer_next(SEARCH, Answer(502), times=2)
    report, _ = await some.sync()
    assert (report.outcome, report.seen) == ("partial", 15)
    assert {row.market for row in some.rows(Listing)} == {"DE", "US"}


@pytest.mark.gen_test
async def test_a_pause_in_the_middle_ends_the_sync_and_nothing_is_asked_before_its_end(
    rig: Callable[..., Rig],
) -> None:
    some = rig(albums(35), kind=AppKind.RESTRICTED, sync_markets=("DE", "US"))
    page = {"albums": {"items": albums(10), "next": "?offset=10"}}
    some.standin.answer_next(SEARCH, Answer(200, page))
    some.standin.answer_next(SEARCH, Answer(429, b"Too many requests", {"Retry-After": "86236"}))
    await some.syncer.tick()
    (run,) = some.rows(SyncRun)
    assert (run.outcome, run.error) == ("partial", "RateLimited: 429 Too many requests")
    assert some.standin.calls_to(SEARCH) == 2
    report, _ = await some.sync()
    assert (report.outcome, report.calls) == ("failed", 0)
    assert some.syncer.seconds_left() > 86_000


@pytest.mark.gen_test
async def test_a_pause_of_one_source_in_the_middle_does_not_stop_the_other(
    rig: Callable[..., Rig],
) -> None:
    some = rig(albums(95))
    await some.sync()
    page = {"albums": {"items": albums(50), "next": "?offset=50", "total": 95}}
    some.standin.answer_next(NEW_RELEASES, Answer(200, page))
    some.standin.answer_next(NEW_RELEASES, Answer(429, b"", {"Retry-After": "86236"}))
    await some.syncer.tick()
    assert some.rows(SyncRun)[-1].outcome == "partial"
    assert some.syncer.seconds_left() < 60
    report, _ = await some.sync()
    assert (report.outcome, report.source) == ("complete", "search")


@pytest.mark.gen_test
async def test_a_sweep_as_a_whole_has_a_limit_of_time_and_what_came_is_kept(
    rig: Callable[..., Rig],
) -> None:
    some = rig(albums(35), kind=AppKind.RESTRICTED)
    some.syncer._sweepers["background"].seconds = 1.5
    page = {"albums": {"items": albums(10), "next": "?offset=10"}}
    some.standin.answer_next(SEARCH, Answer(200, page))
    some.standin.answer_next(SEARCH, Answer(200, page, held=asyncio.Event()))
    report, _ = await some.sync()
    assert (report.outcome, report.seen) == ("partial", 10)
    assert report.error == "SpotifyTimeout: the sweep was not done in 1.5 s"


@pytest.mark.gen_test
async def test_choosing_has_a_limit_of_time_as_well(rig: Callable[..., Rig]) -> None:
    some = rig(albums(35), kind=AppKind.RESTRICTED)
    some.syncer._sweepers["background"].seconds = 1.5
    some.standin.answer_next(NEW_RELEASES, Answer(200, held=asyncio.Event()))
    report, _ = await some.sync()
    assert (report.outcome, report.seen) == ("failed", 0)
    assert report.error == "SpotifyTimeout: the sweep was not done in 1.5 s"


# The timetable


@pytest.mark.gen_test
async def test_syncs_stretch_so_that_the_quota_lasts_the_whole_day(
    rig: Callable[..., Rig],
) -> None:
    some = rig(albums(100), kind=AppKind.RESTRICTED, quota_per_day=100)
    await some.syncer.tick()
    assert some.rows(SyncRun)[0].outcome == "complete"
    assert some.syncer.schedule.interval == pytest.approx(25 * 3600 / 9, rel=0.03)
    assert some.syncer.seconds_left() >= some.syncer.schedule.interval - 1


@pytest.mark.gen_test
async def test_a_short_list_does_not_stretch_them(rig: Callable[..., Rig]) -> None:
    some = rig(albums(5), kind=AppKind.RESTRICTED, quota_per_day=100)
    await some.syncer.tick()
    assert some.syncer.schedule.interval == 1800


@pytest.mark.gen_test
async def test_a_spent_quota_is_waited_for_and_costs_no_call(rig: Callable[..., Rig]) -> None:
    some = rig(albums(100), kind=AppKind.RESTRICTED, quota_per_day=20)
    await some.sync()
    calls = len(some.standin.calls)
    report, _ = await some.sync()
    assert report.outcome == "partial"
    assert report.error is not None
    assert report.error.startswith("QuotaSpent: ")
    assert some.standin.calls_to(SEARCH) == 18
    for _ in range(3):
        await some.syncer.tick()
    assert len(some.standin.calls) == calls + 8


@pytest.mark.gen_test
async def test_syncs_leave_a_third_of_search_while_artists_are_searched_for(
    rig: Callable[..., Rig], clock: Clock
) -> None:
    some = rig(albums(100), kind=AppKind.RESTRICTED)
    await some.syncer.tick()
    assert some.syncer.schedule.interval == pytest.approx(25 * 3600 / 27, rel=0.01)
    client = some.upstream.client("following")
    for _ in range(30):
        await client.get("/search", q="tag:new", type="album", limit=1)
    some.upstream.limiter.searches_artists = True
    clock.forward(hours=1)
    outlook = await some.syncer._pacing.outlook("search", 10)
    assert outlook.spacing == pytest.approx(25 * 3600 / 17, rel=0.05)
    assert outlook.room_in == 0
    some.upstream.limiter.searches_artists = False
    assert (await some.syncer._pacing.outlook("search", 10)).spacing < outlook.spacing


@pytest.mark.gen_test
async def test_a_ceiling_below_the_calls_of_a_sync_leaves_partial_syncs(
    rig: Callable[..., Rig], database: Database, clock: Clock
) -> None:
    some = rig(albums(100), kind=AppKind.RESTRICTED, sync_source="search")
    learnt = Ceiling(8, clock(), clock(), 10)
    await database.run(some.upstream.limiter.store.lower_ceiling, "/search", learnt)
    report, _ = await some.sync()
    assert (report.outcome, some.standin.calls_to(SEARCH)) == ("partial", 8)
    assert len(some.rows(Album)) == 80
    clock.forward(hours=26)
    assert (await some.sync())[0].outcome == "partial"


@pytest.mark.gen_test
async def test_a_restart_takes_up_the_schedule_it_finds(
    rig: Callable[..., Rig], clock: Clock
) -> None:
    first = rig(albums(5))
    await first.sync()
    clock.forward(minutes=10)
    second = rig(albums(5))
    await second.syncer.resume()
    assert second.syncer.seconds_left() == pytest.approx(1200, abs=5)
    clock.forward(days=2)
    third = rig(albums(5))
    await third.syncer.resume()
    assert third.syncer.seconds_left() == 0


@pytest.mark.gen_test
async def test_a_restart_after_a_failure_does_not_wait_long(
    rig: Callable[..., Rig], clock: Clock
) -> None:
    first = rig(albums(5))
    first.standin.answer_next(NEW_RELEASES, Answer(500))
    assert (await first.sync())[0].outcome == "failed"
    second = rig(albums(5))
    await second.syncer.resume()
    assert 0 < second.syncer.seconds_left() <= 30


@pytest.mark.gen_test
async def test_a_clock_put_back_does_not_put_the_next_sync_off(
    rig: Callable[..., Rig], clock: Clock
) -> None:
    right = clock.moment
    clock.forward(days=300)
    await rig(albums(5)).sync()
    clock.moment = right
    second = rig(albums(5))
    await second.syncer.resume()
    assert second.syncer.seconds_left() <= 1800


@pytest.mark.gen_test
async def test_a_pause_outlasts_a_restart_without_a_call(rig: Callable[..., Rig]) -> None:
    first = rig(albums(5), sync_source="search")
    first.standin.answer_next(SEARCH, Answer(429, b"Too many requests", {"Retry-After": "86236"}))
    await first.sync()
    second = rig(albums(5), sync_source="search")
    report, logs = await second.sync()
    assert (report.outcome, report.calls) == ("failed", 0)
    assert second.standin.calls_to(SEARCH) == 0
    assert "rate_limited" not in [line["event"] for line in logs], "it was told when it began"
    assert second.syncer.seconds_left() > 86_000


@pytest.mark.gen_test
async def test_an_announcement_that_crashes_neither_ends_the_event_nor_the_timetable(
    rig: Callable[..., Rig],
) -> None:
    some = rig(albums(5))

    async def crash() -> None:
        raise RuntimeError("nobody foresaw this")

    some.syncer._announce = crash
    with capture_logs() as logs:
        for _ in range(5):
            await some.syncer.tick()
    events = [line["event"] for line in logs]
    assert events.count("sync_finished") == 1
    assert "task_crashed" in events
    assert some.syncer.seconds_left() > 1000


@pytest.mark.gen_test
async def test_a_list_of_several_pages_is_no_sure_proof_by_itself(rig: Callable[..., Rig]) -> None:
    some = rig(albums(35), kind=AppKind.RESTRICTED)
    await some.sync()
    del some.standin.catalogue.albums[7]
    assert (await some.sync())[0].gone == 0
    assert (await some.sync())[0].gone == 1
