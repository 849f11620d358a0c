"""Register the Prometheus metrics and connect each to the component it reads."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import partial
from typing import Any

from server.config.settings import Settings
from server.database.engine import THREADS
from server.database.executor import Database
from server.errors import DatabaseUnavailable
from server.http.connections.backlog import Backlog
from server.http.head_cache import Count
from server.observability import log_handler
from server.observability.access_log import AccessLog
from server.observability.http_metrics import HandlerMetrics
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
    groups = of_login, of_followed_list, of_buckets, of_freshness
    return [each for group in groups for each in attempt_now(partial(_listed, group, status), [])]


def _listed(group: Callable[[Status], Iterable[Gauge]], status: Status) -> list[Gauge]:
    return list(group(status))


def of_login(status: Status) -> Iterator[Gauge]:
    """Yield the time left of the login's consent; without values while no one has logged in."""
    days = status.days_to_reconsent
    yield Gauge(
        "freshet_days_to_reconsent",
        "Whole days until the login needs a new consent; absent without a login.",
        days,
    )
    if status.consent is not None:
        yield Gauge(
            "freshet_consent_expires_timestamp_seconds",
            "End of the login's consent, in Unix seconds; absent without a login.",
            status.consent.ends_at.timestamp(),
        )


def of_followed_list(status: Status) -> Iterator[Gauge]:
    """Yield when the list of followed artists was last read; nothing before it ever was."""
    if status.followed_list.read_at is not None:
        yield Gauge(
            "freshet_followed_list_read_timestamp_seconds",
            "When the list of followed artists was last read, in Unix seconds; absent before.",
            status.followed_list.read_at.timestamp(),
        )


def of_buckets(status: Status) -> Iterator[Gauge]:
    """Yield the calls per endpoint of Spotify, and the seconds left of each pause."""
    buckets = status.buckets
    yield Gauge(
        "freshet_quota_used_calls",
        "Calls to an endpoint of Spotify in the last 24 hours.",
        by_bucket={each.name: each.used for each in buckets},
    )
    yield Gauge(
        "freshet_quota_left_calls",
        "Calls left until the ceiling of an endpoint is reached.",
        by_bucket={each.name: each.left for each in buckets},
    )
    yield Gauge(
        "freshet_quota_ceiling_calls",
        "Calls that an endpoint may have in 24 hours: learnt, and at most QUOTA_PER_DAY.",
        by_bucket={each.name: each.per_day for each in buckets},
    )
    yield Gauge(
        "freshet_quota_forecast_calls",
        "Calls expected in the next 24 hours at the current pace.",
        by_bucket={each.name: each.forecast for each in buckets},
    )
    yield Gauge(
        "freshet_cooldown_seconds",
        "Seconds left of the pause that Spotify asked for at an endpoint.",
        by_bucket={each.name: _left(each, status.now) for each in buckets},
    )


def of_freshness(status: Status) -> Iterator[Gauge]:
    """Yield the ages of the data; an age is absent until it is known."""
    freshness = status.freshness
    yield Gauge(
        "freshet_sync_interval_seconds",
        "Seconds between scheduled syncs; 0 if they are off.",
        status.interval,
    )
    ages = {
        "freshet_last_complete_sync_age_seconds": ("the last complete sync", freshness.complete_at),
        "freshet_last_new_release_age_seconds": ("a sync last added a release", freshness.new_at),
    }
    for name, (what, moment) in ages.items():
        if moment is not None:
            age = max((status.now - moment).total_seconds(), 0)
            yield Gauge(name, f"Seconds since {what}.", age)
    yield Gauge(
        "freshet_feed_stuck",
        "1 if syncs are complete but have added no release for 72 hours.",
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
    """Build the metrics of a process, with the gauges of the status."""
    _add_process_gauges(instruments, database, jobs, lag)
    return Metrics(instruments, gauges=[partial(read_gauges, read_status)])


def _add_process_gauges(
    instruments: Instruments,
    database: Database,
    jobs: LeaderJobs,
    lag: ServingLag,
) -> None:
    """Register the gauges that each process has for itself."""
    for name, text, read in (
        (
            "freshet_leader",
            "1 if a process is the leader, which runs the scheduled syncs.",
            lambda: float(jobs.leadership.leads),
        ),
        (
            "freshet_served_age_seconds",
            "Seconds that the newest stored sync has waited to be served by a process; 0 if it is.",
            lambda: lag.seconds,
        ),
        (
            "freshet_database_up",
            "1 if the database answered the last call of a process, made 10 s ago at most.",
            lambda: float(database.reachable),
        ),
        (
            "freshet_database_connections_in_use",
            "Database connections of a process that are in use.",
            lambda: connections_in_use(database),
        ),
        (
            "freshet_database_connections_max",
            "Maximum number of database connections of a process.",
            lambda: float(THREADS),
        ),
        (
            "freshet_database_threads_busy",
            "Threads of a process that are waiting for the database.",
            lambda: float(database.threads.busy),
        ),
        (
            "freshet_database_calls_waiting",
            "Database calls of a process that are waiting for a thread.",
            lambda: float(database.threads.waiting),
        ),
    ):
        instruments.process_gauges.add(name, text, read)
    instruments.process_gauges.add_total(
        "freshet_log_lines_dropped",
        "Log lines that a process dropped because their reader was blocked or the disk was full.",
        lambda: float(log_handler.dropped()),
    )


def add_clients(process_gauges: ProcessGauges, broadcast: Broadcast, backlog: Backlog) -> None:
    """Register the gauges of event streams and of unsent data."""
    process_gauges.add(
        "freshet_event_listeners",
        "Open event streams of a process.",
        lambda: float(broadcast.listeners),
    )
    process_gauges.add(
        "freshet_unsent_bytes",
        "Bytes of responses that a process holds because clients have not received them yet.",
        lambda: float(backlog.bytes),
    )


def make_access_log(settings: Settings, instruments: Instruments, table: list[Any]) -> AccessLog:
    """Build the access log, which also counts requests by the routes of `table`."""
    handler_metrics = HandlerMetrics(instruments.requests, [route[0] for route in table])
    return AccessLog(settings.access_log, handler_metrics, handler_metrics.refused)


def make_count(instruments: Instruments, access_log: AccessLog) -> Count:
    """Return the callback that counts responses of the fast lane."""

    def count(route: str, method: str, status: int, hits: int) -> None:
        access_log.count(hits)
        instruments.requests.add(route, method, status, "lane", hits)
        instruments.cache.hits.inc(hits)

    return count


def count_sync(instruments: Instruments, report: Report) -> None:
    """Count a finished sync, whatever its outcome."""
    instruments.count_sync(
        report.outcome,
        report.duration_ms / 1000,
        added=report.added,
        updated=report.updated,
        gone=report.gone,
    )


def connections_in_use(database: Database) -> float:
    """Return the number of pool connections in use; 0 while there is no pool."""
    try:
        pool: Any = database.engine.pool
    except DatabaseUnavailable:
        return 0
    return float(pool.checkedout())
