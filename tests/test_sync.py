"""The cycle against the stand-in: it never dies, overlaps or lies."""

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from structlog.testing import capture_logs

from models import Album, Listing, Login, Source, SyncRun
from server.catalog.sync import Report, Syncer
from server.database import Database
from server.spotify.standin import Answer, AppKind, StandIn
from server.upstream import Upstream, make_syncer
from tests.conftest import Clock, until
from tests.examples import album, albums

NEW_RELEASES = "/v1/browse/new-releases"
SEARCH = "/v1/search"
OUTCOMES = ("sync_finished", "sync_failed")


class Rig:
    """A syncer on the stand-in and a real database, and what it told."""

    def __init__(self, standin: StandIn, database: Database, settings: Any, clock: Clock) -> None:
        self.standin, self.database = standin, database
        self.upstream = Upstream(settings, database, clock)
        self.announced = 0
        self.syncer: Syncer = make_syncer(
            settings, database, self.upstream, self._announce, clock, origin="me"
        )

    async def _announce(self) -> None:
        self.announced += 1

    async def sync(self) -> tuple[Report, list[Any]]:
        with capture_logs() as logs:
            report = await self.syncer.sync()
        return report, logs

    def rows(self, model: Any) -> list[Any]:
        with Session(self.database.engine) as session:
            return list(session.scalars(select(model)))


@pytest.fixture
def rig(
    start_standin: Callable[..., StandIn],
    make_settings: Callable[..., Any],
    database: Database,
    clock: Clock,
    closing: Any,
) -> Callable[..., Rig]:
    def make(items: list[Any], *, kind: AppKind = AppKind.EXTENDED, **overrides: Any) -> Rig:
        standin = start_standin(items, kind=kind)
        rig = Rig(standin, database, make_settings(standin, **overrides), clock)
        closing(rig.upstream.stop)
        return rig

    return make


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
    full = rig(albums(95))
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
    assert [line["event"] for line in logs if line["event"] in OUTCOMES] == ["sync_failed"]
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
    full.standin.answer_next(NEW_RELEASES, Answer(500, b"", {}, delay=0.2))
    first = asyncio.create_task(full.syncer.sync())
    await asyncio.sleep(0.05)
    await full.syncer.tick()
    assert full.standin.calls_to(NEW_RELEASES) <= 1
    await first


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
    full.standin.answer_next(NEW_RELEASES, Answer(200, {"albums": {"items": []}}, {}, delay=5))
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
