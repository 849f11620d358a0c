"""The wiring: every part is built once, by hand, then started and stopped in order.

The routes with their handlers are on one screen in `routes.py`.
"""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog

from server.app import heap, routes
from server.app.following import Following
from server.app.metrics import add_clients, count_sync, make_access_log, make_count, make_metrics
from server.app.own_artists import OwnArtists
from server.app.serving import (
    make_admission,
    make_backlog,
    make_broadcast,
    make_cache,
    make_head_cache,
    make_lag,
    make_web_server,
)
from server.app.status_reader import StatusReader
from server.app.upstream import Upstream, make_details, make_login_service, make_syncer, utc_now
from server.config.settings import Settings
from server.database.executor import Database
from server.database.listener import NotificationListener
from server.database.readiness import DatabaseProbe
from server.database.supervisor import DatabaseSupervisor
from server.login.access_keys import AccessKeys
from server.login.consent_monitor import ConsentMonitor
from server.observability.access_log import SUMMARY_SECONDS
from server.observability.instruments import Instruments
from server.serving.deprecations import DEPRECATED, Deprecation, Deprecations
from server.spotify.auth import token_store
from server.storage import following, sweeps
from server.sync import sync_lock
from server.sync.jobs import LeaderJobs
from server.sync.report import Report
from server.sync.retention import Retention
from server.sync.upstream_status import UpstreamStatus
from server.tasks import Tasks, Timers, attempt, attempt_each, attempt_now
from server.threads import Threads

CONSENT_SECONDS = 3600.0  # between two checks of how long the consent lasts
RETRY_SECONDS = 5.0  # between two attempts to write what the database could not take
CATCH_UP_SECONDS = 10.0  # between two reads of what other processes have stored
CACHE_SECONDS = 1.0
BUILDERS = 2  # threads
BUILD_SECONDS = 0.5  # how long a stop waits for a payload that is being built
LISTEN_SECONDS = 2.0  # how long the first snapshot waits for the listener
WARM_SECONDS = 5.0  # how long clients wait for the first snapshot before they are answered anyway

log = structlog.get_logger()


class Application:
    """One process of the server: builds every part, then starts and stops them.

    `now` is the wall clock; `timer` is monotonic, in seconds. Clients that connect before the
    database's contents are loaded wait for them, `warm_seconds` at most. `loaded` is set once they
    can be served; the task `opening` ends when clients are answered. `port` is the port in use.
    What is `deprecated` is announced in the headers of responses.
    """

    opening: asyncio.Task[None]  # from `start` on

    def __init__(
        self,
        settings: Settings,
        now: Callable[[], datetime] = utc_now,
        *,
        instruments: Instruments | None = None,
        timer: Callable[[], float] = time.monotonic,
        warm_seconds: float = WARM_SECONDS,
        deprecated: Sequence[Deprecation] = DEPRECATED,
    ) -> None:
        self.settings, self._now = settings, now
        self._timer, self._warm_seconds = timer, warm_seconds
        self._origin = uuid.uuid4().hex  # by which this process knows its own notifications
        self.instruments = instruments or Instruments()
        self.database = Database(settings.database_url)
        self.supervisor = DatabaseSupervisor(self.database)
        self.probe = DatabaseProbe(self.database, self.supervisor)
        self.admission = make_admission(settings)
        self.builders = Threads(BUILDERS)  # of their own, so that a stuck database blocks none
        parts = self.database, self.builders, self._interval, now, timer
        self.cache = make_cache(settings, *parts, self.instruments.cache, self.admission)
        self.broadcast = make_broadcast(settings, self.database, self.cache.refresh)
        counted = self.instruments.renewal, self.instruments.call
        self.upstream = Upstream(settings, self.database, now, *counted)
        self._build_sync()
        self._build_login()
        self._build_status()
        self._build_http(Deprecations(deprecated, settings.public_url))
        self.timers = self._make_timers()
        self.loaded, self.port = asyncio.Event(), settings.port
        self.tasks, self._first_tasks = Tasks(), Tasks()

    def _build_sync(self) -> None:
        """Build what fetches, stores and deletes releases, and what learns of it."""
        settings, database, now = self.settings, self.database, self._now
        self.syncer = make_syncer(
            settings,
            database,
            self.upstream,
            self._data_changed,
            now,
            origin=self._origin,
            count=self._sync_ended,
        )
        self.upstream_status = UpstreamStatus(
            database, self.upstream.limiter, now, settings.sync_markets
        )
        self.details = make_details(
            database, self.upstream, self.syncer, self.cache.refresh, now, self._origin
        )
        keep = timedelta(days=settings.retention_days)
        deleting = self._data_changed, keep, now, self._origin, settings.allowed_users
        self.retention = Retention(database, *deleting)
        parts = self.upstream, self.syncer, self._data_changed, now, self._origin
        self.following = Following(database, *parts, self.instruments.check)
        served = self.cache, self.builders, self.admission
        self.own = OwnArtists(settings, database, *served, now, self._origin, self.following)
        others = self.details, self.retention, self.following.jobs
        self.jobs = LeaderJobs(database, self.syncer, *others)
        on_notice: dict[str, Callable[[], Awaitable[None]]] = {
            sweeps.CHANNEL: self._others_changed_data,
            sync_lock.CHANNEL: self.upstream_status.refresh,
            token_store.CHANNEL: self._logins_changed,
            following.CHANNEL: self.own.changed,
        }
        self.listener = NotificationListener(database, on_notice, self._origin)

    def _build_login(self) -> None:
        settings, database, upstream = self.settings, self.database, self.upstream
        allowed = settings.allowed_users
        self.consent_monitor = ConsentMonitor(database, upstream.encryption, allowed, self._now)
        self.login_service = make_login_service(
            settings, database, upstream, self._logins_changed, self._now, self.admission
        )
        self.keys = AccessKeys(database, allowed, self._now, self.admission)

    def _build_status(self) -> None:
        """Build what reports the state of the other parts."""
        counted = self.instruments
        self.lag = make_lag(self.cache, self.upstream_status, self._timer)
        parts = self.syncer, self.consent_monitor, self.following, self._now
        self.status = StatusReader(self.cache, self.upstream_status, *parts)
        self.backlog = make_backlog(self.settings, counted.closed)
        self.metrics = make_metrics(counted, self.database, self.status.read, self.jobs, self.lag)
        add_clients(counted.process_gauges, self.broadcast, self.backlog)

    def _build_http(self, deprecations: Deprecations) -> None:
        """Build the server, with the fast lane and the routes."""
        settings = self.settings
        self.pages = routes.make_pages(settings)
        table = self.routes()
        self.access_log = make_access_log(settings, self.instruments, table)
        count = make_count(self.instruments, self.access_log)
        self.head_cache = make_head_cache(settings, self.cache, count, self._timer, deprecations)
        parts = self.access_log, self.head_cache, self.backlog, self.broadcast, deprecations
        table += routes.unlisted(self.pages, self.login_service, self.keys)
        self.web_server = make_web_server(settings, table, self.pages, *parts)

    def _make_timers(self) -> Timers:
        """Build the periodic jobs of every process, which start after the first snapshot."""
        return Timers(
            (
                (self.access_log.summarise, SUMMARY_SECONDS),
                (self.upstream.save, RETRY_SECONDS),
                *self.following.timers,
                (self.consent_monitor.tick, CONSENT_SECONDS),
                (self._catch_up, CATCH_UP_SECONDS),
                (self.cache.tick, CACHE_SECONDS),
                (partial(self.builders.call, heap.return_memory), heap.TRIM_SECONDS),
            )
        )

    def routes(self) -> list[Any]:
        """Return the route table."""
        return routes.table(
            self.settings,
            database=self.database,
            cache=self.cache,
            broadcast=self.broadcast,
            login_service=self.login_service,
            keys=self.keys,
            read_status=self.status.read,
            syncer=self.syncer,
            metrics=self.metrics,
            probe=self.probe,
            lag=self.lag,
            builders=self.builders,
            admission=self.admission,
            pages=self.pages,
            own=self.own,
        )

    def _interval(self) -> timedelta:
        """Return the current time between two syncs; zero if none are scheduled."""
        return timedelta(seconds=self.syncer.schedule.interval)

    def start(self) -> None:
        """Bind the address at once, boot in the background, and answer once data is loaded.

        The order is the same for a single process, a worker and the tests; only a worker leaves
        clients to the others until it answers. Raises AddressUnavailable.
        """
        shared = self.settings.processes > 1
        self.port = self.web_server.listen(self.settings.host, self.settings.port, shared=shared)
        self.metrics.start()
        self.tasks.spawn(self._boot())
        self.opening = self._first_tasks.spawn(self._open())

    async def _boot(self) -> None:
        """Connect, migrate, load what is stored, start the timers, and run the leader's jobs."""
        await self.supervisor.connect()
        self.tasks.spawn(self.supervisor.supervise())
        await attempt(self.consent_monitor.begin)
        self.tasks.spawn(self.listener.run())
        with suppress(TimeoutError):  # listen before loading: no sync in between goes unnoticed
            await asyncio.wait_for(self.listener.listening.wait(), LISTEN_SECONDS)
        await attempt(self._data_changed)
        self.loaded.set()
        await attempt(self.consent_monitor.tick)
        self.consent_monitor.log_owner()
        self.timers.start()
        if self.settings.sync_interval:
            await self.jobs.run()

    async def _open(self) -> None:
        """Answer clients once data is loaded, after `warm_seconds`, or when a stop begins."""
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(self.loaded.wait(), self._warm_seconds)
        finally:
            self.web_server.open()

    def _sync_ended(self, report: Report) -> None:
        """Count a sync of this process; after a failed one, load the quota that it has used.

        After other syncs `_data_changed` has loaded it.
        """
        attempt_now(partial(count_sync, self.instruments, report), None)
        if report.outcome == "failed":
            self.tasks.spawn(attempt(self._load_upstream_status))

    async def _data_changed(self) -> None:
        """Serve and publish new data, whichever process stored it. Raises DatabaseError."""
        self.details.wake()
        await attempt_each(self.cache.refresh, self.broadcast.refresh, self._load_upstream_status)

    async def _others_changed_data(self) -> None:
        """Follow a sync of another process, which also moves the time of the next one here."""
        await self._data_changed()
        await self.jobs.follow(self.upstream_status.history, news=True)

    async def _catch_up(self) -> None:
        """Load what other processes have used of the quota, and repair missed notifications."""
        await attempt(self._load_upstream_status)
        await attempt(self.broadcast.refresh)
        await self.lag.heal()

    async def _load_upstream_status(self) -> None:
        await self.upstream_status.load()
        self.lag.refresh()
        self.upstream.limiter.learn(self.upstream_status.usage)
        await self.jobs.follow(self.upstream_status.history)

    async def _logins_changed(self) -> None:
        """Forget the token and load the consent, because a login was added, removed or refused."""
        self.upstream.tokens.forget()
        await attempt(self.own.changed)  # with an account, its artists are gone
        await attempt(self.consent_monitor.load)

    async def stop(self) -> None:
        """Stop in the reverse order: accept no connections, answer open requests, end the rest."""
        for step in (
            self._first_tasks.stop,
            self.broadcast.close,
            self.web_server.close,
            self.timers.stop,
            self.tasks.stop,
            self.syncer.stop,
            self.access_log.summarise,
            self.metrics.stop,
            self.upstream.stop,
            partial(self.builders.close, BUILD_SECONDS),
            self.database.close,
        ):
            await attempt(step)
        log.info("server_stopped")
