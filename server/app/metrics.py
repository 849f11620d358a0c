"""What Prometheus is shown, wired to the parts that know."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import partial
from typing import Any

from server.config.settings import Settings
from server.database.engine import THREADS
from server.database.executor import Database
from server.errors import DatabaseUnavailable
from server.http.connections.unsent import Backlog
from server.http.head_cache import Count
from server.observability import log_handler
from server.observability.access_log import AccessLog
from server.observability.http_metrics import Traffic
from server.observability.instruments import Instruments
from server.observability.metrics import Gauge, Metrics
from server.observability.process_metrics import ProcessGauges
from server.serving.lag import ServingLag
from server.serving.streams.broadcast import Broadcast
from server.sync.jobs import LeaderJobs
from server.sync.report import Report
from server.sync.status import Status
from server.sync.upstream_status import Bucket
from server.tasks import attempt_now


def read_gauges(read_status: Callable[[], Status]) -> list[Gauge]:
    """Return the gauges of the current status; a group that raises is logged and left out."""
    status = read_status()
    groups = of_login, of_buckets, of_freshness
    return [each for group in groups for each in attempt_now(partial(_listed, group, status), [])]


def _listed(group: Callable[[Status], Iterable[Gauge]], status: Status) -> list[Gauge]:
    return list(group(status))


def of_login(status: Status) -> Iterator[Gauge]:
    """How long the login's consent lasts; without values while there is no login."""
    days = status.days_to_reconsent
    yield Gauge(
        "freshet_days_to_reconsent",
        "Whole days until the login needs a new consent; absent while nobody has logged in.",
        days,
    )
    if status.consent is not None:
        yield Gauge(
            "freshet_consent_expires_timestamp_seconds",
            "When the consent of the login ends, in seconds since 1970; absent without a login.",
            status.consent.ends_at.timestamp(),
        )


def of_buckets(status: Status) -> Iterator[Gauge]:
    """Calls by endpoint, and seconds of pauses that are left."""
    buckets = status.buckets
    yield Gauge(
        "freshet_quota_used_calls",
        "Calls to an endpoint of Spotify's in the last 24 hours.",
        by_bucket={each.name: each.used for each in buckets},
    )
    yield Gauge(
        "freshet_quota_left_calls",
        "Calls left before QUOTA_PER_DAY.",
        by_bucket={each.name: each.left for each in buckets},
    )
    yield Gauge(
        "freshet_quota_forecast_calls",
        "Calls in the coming 24 hours if all goes on as now.",
        by_bucket={each.name: each.forecast for each in buckets},
    )
    yield Gauge(
        "freshet_cooldown_seconds",
        "Seconds for which an endpoint is left alone, as Spotify asked.",
        by_bucket={each.name: _left(each, status.now) for each in buckets},
    )


def of_freshness(status: Status) -> Iterator[Gauge]:
    """How old the data is, and whether anything comes in; ages are absent before there is one."""
    freshness = status.freshness
    yield Gauge(
        "freshet_sync_interval_seconds", "Seconds between syncs; 0 is never.", status.interval
    )
    ages = {
        "freshet_last_complete_sync_age_seconds": ("the last complete sync", freshness.complete_at),
        "freshet_last_new_release_age_seconds": ("a sync last added any", freshness.new_at),
    }
    for name, (what, moment) in ages.items():
        if moment is not None:
            age = max((status.now - moment).total_seconds(), 0)
            yield Gauge(name, f"Seconds since {what}.", age)
    yield Gauge(
        "freshet_feed_stuck",
        "1 if syncs are complete and yet nothing new has come for 72 hours.",
        int(status.is_stuck),
    )


def _left(bucket: Bucket, now: datetime) -> float:
    if bucket.paused_until is None:
        return 0
    return max((bucket.paused_until - now).total_seconds(), 0)


def make_metrics(
    instruments: Instruments,
    database: Database,
    read_status: Callable[[], Status],
    jobs: LeaderJobs,
    lag: ServingLag,
) -> Metrics:
    """The part that is scraped."""
    _add_vitals(instruments, database, jobs, lag)
    return Metrics(instruments, gauges=[partial(read_gauges, read_status)])


def _add_vitals(
    instruments: Instruments,
    database: Database,
    jobs: LeaderJobs,
    lag: ServingLag,
) -> None:
    """Register what each process tells of itself."""
    for name, text, read in (
        (
            "freshet_leader",
            "1 if this process leads: syncs by the clock.",
            lambda: float(jobs.leadership.leads),
        ),
        (
            "freshet_served_age_seconds",
            "Seconds for which a process has not served the newest stored sync; 0 if it does.",
            lambda: lag.seconds,
        ),
        (
            "freshet_database_up",
            "1 if the database answered a process when that last asked, every 10 s at least.",
            lambda: float(database.reachable),
        ),
        (
            "freshet_database_connections_in_use",
            "Connections of a process's pool that are in use.",
            lambda: connections_in_use(database),
        ),
        (
            "freshet_database_connections_max",
            "Connections that a process's pool may have.",
            lambda: float(THREADS),
        ),
        (
            "freshet_database_threads_busy",
            "Threads of a process that wait for the database.",
            lambda: float(database.threads.busy),
        ),
        (
            "freshet_database_calls_waiting",
            "Calls to the database for which no thread is free yet.",
            lambda: float(database.threads.waiting),
        ),
    ):
        instruments.process_gauges.add(name, text, read)
    instruments.process_gauges.add_total(
        "freshet_log_lines_dropped",
        "Log lines that a process could not write: no program read them, or the disk was full.",
        lambda: float(log_handler.dropped()),
    )


def add_clients(process_gauges: ProcessGauges, broadcast: Broadcast, backlog: Backlog) -> None:
    """Register what each process has open and keeps for clients."""
    process_gauges.add(
        "freshet_event_listeners",
        "Event streams that are open in a process.",
        lambda: float(broadcast.listeners),
    )
    process_gauges.add(
        "freshet_unsent_bytes",
        "Memory that a process keeps for answers that clients have yet to take.",
        lambda: float(backlog.bytes),
    )


def make_access_log(settings: Settings, instruments: Instruments, table: list[Any]) -> AccessLog:
    """The log of requests, which counts them by the routes of `table`."""
    traffic = Traffic(instruments.requests, [route[0] for route in table])
    return AccessLog(settings.access_log, traffic, traffic.refused)


def make_count(instruments: Instruments, access_log: AccessLog) -> Count:
    """What hears of answers that the fast lane has sent."""

    def count(route: str, method: str, status: int, hits: int) -> None:
        access_log.count(hits)
        instruments.requests.add(route, method, status, "lane", hits)
        instruments.cache.hits.inc(hits)

    return count


def count_sync(instruments: Instruments, report: Report) -> None:
    """A sync has ended, well or not."""
    instruments.count_sync(
        report.outcome,
        report.duration_ms / 1000,
        added=report.added,
        updated=report.updated,
        gone=report.gone,
    )


def connections_in_use(database: Database) -> float:
    """How many connections of the pool are; none before there is one."""
    try:
        pool: Any = database.engine.pool
    except DatabaseUnavailable:
        return 0
    return float(pool.checkedout())
