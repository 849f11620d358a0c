"""A part that fails as nobody foresaw stops no other part, and works again when it can."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from sqlalchemy import text
from structlog.testing import capture_logs

from handlers.api.status import StatusHandler
from handlers.pages.base import NotFoundHandler, Pages
from handlers.pages.home import HomeHandler
from handlers.pages.status import StatusPageHandler
from handlers.session import PublicAddress
from server.app.application import Application
from server.app.metrics import read_gauges
from server.app.status_reader import StatusReader
from server.database.executor import Database
from server.database.leader_election import Leadership
from server.errors import DatabaseUnavailable
from server.following import list_store
from server.http.server import WebServer
from server.observability.access_log import AccessLog
from server.observability.instruments import Instruments
from server.observability.metrics import Gauge, Metrics
from server.openapi.status_schemas import Status as JsonStatus
from server.sync.jobs import LeaderJobs
from server.tasks import Timers, attempt, attempt_each
from tests.support.client import Client
from tests.support.event_streams import EventClient, happen
from tests.support.examples import album, albums
from tests.support.locks import MakeLock
from tests.support.loops import Closing
from tests.support.metrics import log_in
from tests.support.servers import LaunchFreshet, StartFreshet
from tests.support.settings import MakeSettings
from tests.support.standins import StartStandIn
from tests.support.waiting import until

# A sync of a year that PostgreSQL knows and Python does not: reading it fails while it is the last.
UNREADABLE = "UPDATE sync_runs SET finished_at = '20000-01-01Z' WHERE id = 2"

CHANGED = """
INSERT INTO changes (album, kind, at, detail)
VALUES ('album0000000000000000001', 'updated', now(), '{}')
"""


def crash() -> Any:
    raise ValueError("nobody foresaw this")


async def crash_later() -> None:
    crash()


async def unavailable() -> None:
    raise DatabaseUnavailable("gone")


async def execute(database: Database, statement: str) -> None:
    await database.run(lambda session: session.execute(text(statement)))


def crashed(logs: list[Any]) -> list[str]:
    return [line["task"] for line in logs if line["event"] == "task_crashed"]


@pytest.mark.gen_test
async def test_each_job_is_tried_and_only_the_database_is_told_to_the_caller() -> None:
    done = []

    async def work() -> None:
        done.append("worked")

    with capture_logs() as logs:
        await attempt_each(crash_later, work, crash, work)
        with pytest.raises(DatabaseUnavailable):
            await attempt_each(unavailable, crash_later, work)
        await attempt(unavailable)
        await attempt(crash)
    assert done == 3 * ["worked"]
    assert crashed(logs) == ["crash_later", "crash", "crash_later", "crash"]
    (warning,) = [line for line in logs if line["event"] == "database_unavailable"]
    assert (warning["task"], warning["reason"]) == ("unavailable", "gone")


@pytest.mark.gen_test
async def test_a_job_that_raises_stops_neither_the_others_nor_itself() -> None:
    ran: list[str] = []

    async def faulty() -> None:
        ran.append("faulty")
        if len(ran) < 8:
            crash()

    timers = Timers([(faulty, 0.01), (lambda: ran.append("sound"), 0.01)])
    with capture_logs() as logs:
        timers.start()
        await until(lambda: ran.count("faulty") > 5 and ran.count("sound") > 5)
        await timers.stop()
    names = set(crashed(logs))
    assert len(names) == 1
    assert names.pop().endswith("faulty")


@pytest.mark.slow
@pytest.mark.gen_test
async def test_the_leaders_jobs_go_on_beside_one_that_raises_and_so_does_the_lead(
    database: Database, closing: Closing
) -> None:
    ticked: list[str] = []

    class Faulty:
        """In the place of all three: its sync raises, and so does what is asked first."""

        async def tick(self) -> None:
            ticked.append("tick")
            crash()

        def wake(self) -> None:
            ticked.append("wake")

        resume = tick

    class Sound(Faulty):
        async def tick(self) -> None:
            ticked.append("sound")

    jobs = LeaderJobs(database, Faulty(), Sound(), Sound())  # type: ignore[arg-type]
    running = asyncio.create_task(jobs.run())
    closing(lambda: asyncio.gather(running, return_exceptions=True))
    closing(lambda: asyncio.sleep(0, running.cancel()))
    with capture_logs() as logs:
        await until(lambda: "sound" in ticked)
    assert ticked.count("tick") >= 3, "at the beginning, and by the clock"
    assert jobs.leadership.leads
    assert set(crashed(logs)) == {f"{Faulty.__qualname__}.tick"}


@pytest.mark.gen_test
async def test_who_cannot_begin_to_lead_tries_again(lock: MakeLock) -> None:
    begun = []

    async def begin() -> None:
        begun.append("begun")
        if len(begun) == 1:
            crash()

    leadership = Leadership(lock(), begin)
    with capture_logs() as logs:
        running = asyncio.create_task(leadership.run())
        await until(lambda: leadership.leads)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert crashed(logs) == ["Leadership._try"]


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_start_that_fails_as_nobody_foresaw_still_leads_to_syncs(
    database: Database,
    start_standin: StartStandIn,
    make_settings: MakeSettings,
    launch_freshet: LaunchFreshet,
) -> None:
    for _ in range(2):
        happen(database, albums(3))
    await execute(database, UNREADABLE)
    with capture_logs() as logs:
        freshet: Application = launch_freshet(make_settings(start_standin(albums(3))))
        await until(lambda: [line for line in logs if line["event"] == "sync_failed"])
    assert freshet.timers.are_running
    await until(lambda: freshet.jobs.leadership.leads)  # its first sync may fail before
    assert {"PayloadCache.refresh", "UpstreamStatus._load_runs", "Syncer.resume"} <= set(
        crashed(logs)
    )
    assert (await freshet.syncer.sync()).outcome == "complete", "the last run can be read again"
    client = Client(freshet)
    assert orjson.loads((await client.fetch("/api/albums/")).body)["total"] == 3
    client.http.close()


@pytest.mark.gen_test
async def test_what_cannot_be_read_keeps_listeners_from_hearing_nothing(
    database: Database, make_settings: MakeSettings, launch_freshet: LaunchFreshet
) -> None:
    freshet: Application = launch_freshet(make_settings(sync_interval=0))
    await until(lambda: freshet.timers.are_running)
    for _ in range(2):
        happen(database, albums(2))
    await freshet._data_changed()
    ear, client = await EventClient.open(freshet.port), Client(freshet)
    await execute(database, UNREADABLE)
    with capture_logs() as logs:
        await execute(database, CHANGED)
        await freshet._data_changed()
        assert (await ear.event())[1] == "updated"
    assert set(crashed(logs)) == {"PayloadCache.refresh", "UpstreamStatus._load_runs"}
    happen(database, [album(1, name="Another")])  # the last run can be read again
    await freshet._data_changed()
    assert b"Another" in (await client.fetch("/api/albums/")).body
    ear.close()
    client.http.close()


def test_a_metric_that_raises_is_missing_and_all_others_are_shown() -> None:
    instruments = Instruments()
    instruments.process_gauges.add("freshet_odd", "A reading that raises.", crash)
    instruments.process_gauges.add("freshet_sound", "A reading.", lambda: 7)
    metrics = Metrics(
        instruments, gauges=[crash, lambda: [Gauge("freshet_good", "A gauge.", 3)], crash]
    )
    with capture_logs() as logs:
        shown = metrics.text().decode()
    values = {
        sample.name: sample.value
        for family in text_string_to_metric_families(shown)
        for sample in family.samples
    }
    assert (values["freshet_sound"], values["freshet_good"]) == (7, 3)
    assert values["freshet_odd"] != values["freshet_odd"], "not a number"
    assert values["process_open_fds"] > 0
    assert crashed(logs) == 3 * ["crash"]


def test_a_collector_that_raises_does_not_hide_the_gauges() -> None:
    class Broken(Collector):
        fails = False

        def collect(self) -> Iterator[Metric]:
            if self.fails:
                crash()
            yield from ()

    instruments, broken = Instruments(), Broken()
    instruments.scraped.register(broken)
    broken.fails = True
    good = Gauge("freshet_good", "A gauge.", 3)
    metrics = Metrics(instruments, gauges=[lambda: [good]])
    with capture_logs() as logs:
        shown = metrics.text()
    assert b"freshet_good 3.0" in shown
    assert crashed(logs) == ["generate_latest"]


class Faulty:
    """In the place of a part of which no attribute can be read."""

    def __getattr__(self, name: str) -> Any:
        crash()


QUOTA = {f"freshet_quota_{each}_calls" for each in ("used", "left", "forecast", "ceiling")}
QUOTA |= {"freshet_cooldown_seconds"}

LIST_READ = "freshet_followed_list_read_timestamp_seconds"

# By the part that fails: what differs in the JSON then, and which metrics are missing.
LOST: dict[str, tuple[set[str], set[str]]] = {
    "cache": (
        {"as_of", "last_sync_at", "last_complete_sync_at", "source", "why", "newest_release"}
        | {"watched_since", "new_at", "quota"},
        {f"freshet_last_{each}_age_seconds" for each in ("complete_sync", "new_release")},
    ),
    "upstream_status": ({"last_sync", "sources", "quota"}, QUOTA),
    "syncer": ({"next_sync_at", "sync_interval", "quota"}, QUOTA),
    "consent_monitor": (
        {"login", "following"},
        {"freshet_days_to_reconsent", "freshet_consent_expires_timestamp_seconds", LIST_READ},
    ),
    "following": ({"following"}, {LIST_READ}),
}


@pytest.mark.parametrize("faulty", LOST)
@pytest.mark.gen_test
async def test_a_part_of_the_status_that_raises_leaves_the_others(
    start_standin: StartStandIn, start_freshet: StartFreshet, closing: Closing, faulty: str
) -> None:
    freshet: Application = await start_freshet(start_standin(albums(3)))
    await until(lambda: freshet.syncer.seconds_left() > 0)
    await log_in(freshet, datetime.now(UTC) - timedelta(days=10))
    await freshet.consent_monitor.load()
    await freshet.upstream_status.load()
    await freshet.database.run(list_store.record_followed, "account-1", [], datetime.now(UTC))
    freshet.following.lists.wake()
    await freshet.following.lists.serve()
    parts = {name: getattr(freshet, name) for name in LOST}
    at = datetime.now(UTC)
    whole, without = (
        StatusReader(**each, now=lambda: at).read for each in (parts, {**parts, faulty: Faulty()})
    )
    site = Pages(PublicAddress("http://127.0.0.1:5000"))
    account = {"pages": site, "login_service": freshet.login_service, "owned": True}
    account["read_status"] = without
    mine = {"my_releases": freshet.own.my_releases}
    routes = [
        (r"/whole", StatusHandler, {"read_status": whole, "root": ""}),
        (r"/api/status", StatusHandler, {"read_status": without, "root": ""}),
        (r"/status", StatusPageHandler, {**account, "syncer": freshet.syncer}),
        (r"/", HomeHandler, {**account, "cache": freshet.cache, **mine}),
    ]
    server = WebServer(routes, AccessLog("off"), (NotFoundHandler, {"pages": site}))
    port = server.listen("127.0.0.1", 0)
    server.open()
    closing(server.close)
    client = Client(freshet)

    async def ask(path: str) -> bytes:
        answer = await client.http.fetch(f"http://127.0.0.1:{port}{path}")
        return bytes(answer.body)

    with capture_logs() as logs:
        sound, body, page, home = [
            await ask(path) for path in ("/whole", "/api/status", "/status", "/")
        ]
        metrics = [shown(read_gauges(read)) for read in (whole, without)]
    JsonStatus.model_validate_json(body)
    expected, content = orjson.loads(sound), orjson.loads(body)
    assert list(content) == list(expected)
    lost_facts, lost_metrics = LOST[faulty]
    next_sync = {"next_sync_at"} - lost_facts  # read twice, by a clock of its own
    assert {name for name in expected if content[name] != expected[name]} - next_sync == lost_facts
    assert metrics[0] - metrics[1] == lost_metrics
    assert metrics[1] < metrics[0]
    assert (expected["last_complete_sync_at"][:4].encode() in page) or faulty == "cache"
    assert all(b"Spotify" in each and b"</html>" in each for each in (page, home))
    assert crashed(logs)
    client.http.close()


def shown(gauges: list[Gauge]) -> set[str]:
    """The names of the metrics that have a value."""
    return {each.name for each in gauges if each.value is not None or each.by_bucket}
