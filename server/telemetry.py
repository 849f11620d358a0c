"""What Prometheus is shown, wired to the parts that know."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from server.catalog.gauges import Gauges
from server.config.settings import Settings
from server.database.engine import THREADS
from server.database.executor import Database
from server.errors import DatabaseUnavailable
from server.http.connections.unsent import Backlog
from server.http.head_cache import Count
from server.login.consent_monitor import ConsentWatch
from server.observability import log_handler
from server.observability.access_log import AccessLog
from server.observability.http_metrics import Traffic
from server.observability.instruments import Instruments
from server.observability.metrics import Gauge, Metrics
from server.observability.process_metrics import Vitals
from server.serving.lag import ServingLag
from server.serving.streams.broadcast import Broadcast
from server.sync.jobs import Duties
from server.sync.report import Report


def make_metrics(
    instruments: Instruments,
    database: Database,
    gauges: Gauges,
    duties: Duties,
    watch: ConsentWatch,
    lag: ServingLag,
) -> Metrics:
    """The part that is scraped."""
    _add_vitals(instruments, database, duties, lag)
    return Metrics(
        instruments,
        days_to_reconsent=watch.days_left,
        gauges=(*gauges.parts, partial(of_consent, watch)),
    )


def _add_vitals(
    instruments: Instruments,
    database: Database,
    duties: Duties,
    lag: ServingLag,
) -> None:
    """Register what each process tells of itself."""
    for name, text, read in (
        (
            "freshet_leader",
            "1 if this process leads: syncs by the clock.",
            lambda: float(duties.leadership.leads),
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
        instruments.vitals.add(name, text, read)
    instruments.vitals.add_total(
        "freshet_log_lines_dropped",
        "Log lines that a process could not write: nobody read them, or the disk was full.",
        lambda: float(log_handler.dropped()),
    )


def add_clients(vitals: Vitals, broadcast: Broadcast, backlog: Backlog) -> None:
    """Register what each process has open and keeps for clients."""
    vitals.add(
        "freshet_event_listeners",
        "Event streams that are open in a process.",
        lambda: float(broadcast.listeners),
    )
    vitals.add(
        "freshet_unsent_bytes",
        "Memory that a process keeps for answers that clients have yet to take.",
        lambda: float(backlog.bytes),
    )


def of_consent(watch: ConsentWatch) -> Iterator[Gauge]:
    """When the login's consent ends; nothing while nobody has logged in."""
    if watch.consent is not None:
        yield Gauge(
            "freshet_consent_expires_timestamp_seconds",
            "When the consent of the login ends, in seconds since 1970; absent without a login.",
            watch.consent.ends_at.timestamp(),
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
