"""What Prometheus is shown, wired to the parts that know."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from server.catalog.snapshot import Freshness, freshness_of, is_stuck
from server.config.settings import Settings
from server.database.engine import THREADS
from server.database.executor import Database
from server.errors import DatabaseUnavailable
from server.http.connections.unsent import Backlog
from server.http.head_cache import Count
from server.login.consent_monitor import ConsentMonitor
from server.observability import log_handler
from server.observability.access_log import AccessLog
from server.observability.http_metrics import Traffic
from server.observability.instruments import Instruments
from server.observability.metrics import Gauge, Metrics
from server.observability.process_metrics import ProcessGauges
from server.serving.cache import PayloadCache
from server.serving.lag import ServingLag
from server.serving.streams.broadcast import Broadcast
from server.sync.jobs import LeaderJobs
from server.sync.report import Report
from server.sync.syncer import Syncer
from server.sync.upstream_status import Bucket, UpstreamStatus


class Gauges:
    """Reads them off the parts that know."""

    def __init__(
        self,
        cache: PayloadCache,
        upstream_status: UpstreamStatus,
        syncer: Syncer,
        now: Callable[[], datetime],
    ) -> None:
        self._cache = cache
        self._upstream_status = upstream_status
        self._syncer = syncer
        self._now = now

    @property
    def parts(self) -> tuple[Callable[[], Iterable[Gauge]], ...]:
        """What to read, so that one part that raises leaves the others."""
        return self._buckets, self._freshness

    def _buckets(self) -> Iterable[Gauge]:
        source = freshness_of(self._cache.snapshot).source
        return of_buckets(self._syncer.buckets(self._upstream_status, source), self._now())

    def _freshness(self) -> Iterable[Gauge]:
        freshness = freshness_of(self._cache.snapshot)
        return of_freshness(freshness, self._syncer.schedule.interval, self._now())


def of_buckets(buckets: Sequence[Bucket], now: datetime) -> Iterator[Gauge]:
    """Calls by endpoint, and seconds of pauses that are left."""
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
        by_bucket={each.name: _left(each, now) for each in buckets},
    )


def of_freshness(freshness: Freshness, interval: float, now: datetime) -> Iterator[Gauge]:
    """How old the data is, and whether anything comes in; ages are absent before there is one."""
    yield Gauge("freshet_sync_interval_seconds", "Seconds between syncs; 0 is never.", interval)
    ages = {
        "freshet_last_complete_sync_age_seconds": ("the last complete sync", freshness.complete_at),
        "freshet_last_new_release_age_seconds": ("a sync last added any", freshness.new_at),
    }
    for name, (what, moment) in ages.items():
        if moment is not None:
            age = max((now - moment).total_seconds(), 0)
            yield Gauge(name, f"Seconds since {what}.", age)
    yield Gauge(
        "freshet_feed_stuck",
        "1 if syncs are complete and yet nothing new has come for 72 hours.",
        int(is_stuck(freshness.new_at, freshness.complete_at)),
    )


def _left(bucket: Bucket, now: datetime) -> float:
    if bucket.paused_until is None:
        return 0
    return max((bucket.paused_until - now).total_seconds(), 0)


def make_metrics(
    instruments: Instruments,
    database: Database,
    gauges: Gauges,
    jobs: LeaderJobs,
    consent_monitor: ConsentMonitor,
    lag: ServingLag,
) -> Metrics:
    """The part that is scraped."""
    _add_vitals(instruments, database, jobs, lag)
    return Metrics(
        instruments,
        days_to_reconsent=consent_monitor.days_left,
        gauges=(*gauges.parts, partial(of_consent, consent_monitor)),
    )


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


def of_consent(consent_monitor: ConsentMonitor) -> Iterator[Gauge]:
    """When the login's consent ends; nothing while nobody has logged in."""
    if consent_monitor.consent is not None:
        yield Gauge(
            "freshet_consent_expires_timestamp_seconds",
            "When the consent of the login ends, in seconds since 1970; absent without a login.",
            consent_monitor.consent.ends_at.timestamp(),
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
