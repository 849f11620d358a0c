"""The wiring: every part made once, by hand; the routes on one screen; how it starts and stops."""

import asyncio
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog

from server.app import routes, trimming
from server.app.metrics import (
    add_clients,
    count_sync,
    make_access_log,
    make_count,
    make_metrics,
)
from server.app.serving import (
    make_admission,
    make_backlog,
    make_broadcast,
    make_cache,
    make_head_cache,
    make_lag,
    make_web_server,
)
from server.app.status import StatusReader
from server.app.upstream import Upstream, make_details, make_login_service, make_syncer, utc_now
from server.config.settings import Settings
from server.database.executor import Database
from server.database.listener import Listener
from server.database.readiness import DatabaseProbe
from server.database.supervisor import DatabaseSupervisor
from server.login.consent_monitor import ConsentMonitor
from server.observability.access_log import SUMMARY_SECONDS
from server.observability.instruments import Instruments
from server.spotify.auth import token_store
from server.storage import sweeps
from server.sync import sync_lock
from server.sync.jobs import LeaderJobs
from server.sync.report import Report
from server.sync.retention import Retention
from server.sync.upstream_status import UpstreamStatus
from server.tasks import Tasks, Timers, attempt, attempt_each, attempt_now
from server.threads import Threads

CONSENT_SECONDS = 3600.0  # how often it is looked how long the consent lasts
MAKE_UP_SECONDS = 5.0
LOOK_SECONDS = 10.0  # how often it is looked what other processes have done
CACHE_TICK = 1.0
BUILDERS = 2  # threads
BUILD_SECONDS = 0.5  # how long the end waits for a payload in the making
LISTEN_SECONDS = 2.0  # how long the first snapshot waits for the listener

log = structlog.get_logger()


class Freshet:
    """One process of the server, which counts with `instruments`.

    `start()` listens at once; the database may come later. Answers end by `timer`, in seconds.
    """

    def __init__(
        self,
        settings: Settings,
        now: Callable[[], datetime] = utc_now,
        *,
        instruments: Instruments | None = None,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        origin = uuid.uuid4().hex
        self.instruments = counted = instruments or Instruments()
        self.database = database = Database(settings.database_url)
        self.supervisor = DatabaseSupervisor(self.database)
        self.probe = DatabaseProbe(self.database, self.supervisor)
        self.builders = Threads(BUILDERS)  # of their own: no frozen database holds them up
        self.admission = room = make_admission(settings)
        self.cache = make_cache(
            settings, database, self.builders, self._interval, now, timer, counted.cache, room
        )
        self.broadcast = make_broadcast(settings, database)
        self.upstream = upstream = Upstream(settings, database, now, counted.renewal, counted.call)
        self.syncer = make_syncer(
            settings, database, upstream, self._data_changed, now, origin=origin, count=self._ended
        )
        self.upstream_status = UpstreamStatus(
            database, self.upstream.limiter.allowance, now, settings.sync_markets
        )
        self.details = make_details(
            self.database, self.upstream, self.syncer, self.cache.refresh, now, origin
        )
        keep = timedelta(days=settings.retention_days)
        self.retention = Retention(self.database, self._data_changed, keep, now, origin)
        self.jobs = LeaderJobs(self.database, self.syncer, self.details, self.retention)
        self.consent_monitor = ConsentMonitor(
            self.database, self.upstream.encryption, settings.allowed_users, now
        )
        self.login_service = make_login_service(
            settings, database, upstream, self._logins_changed, now, room
        )
        self.lag = make_lag(self.cache, self.upstream_status, timer)
        self.status = StatusReader(
            self.cache, self.upstream_status, self.syncer, self.consent_monitor, now
        )
        self.backlog = make_backlog(settings, counted.closed)
        self.metrics = make_metrics(counted, database, self.status.read, self.jobs, self.lag)
        add_clients(counted.process_gauges, self.broadcast, self.backlog)
        heard = {sweeps.CHANNEL: self._heard, sync_lock.CHANNEL: self.upstream_status.refresh}
        heard[token_store.CHANNEL] = self._logins_changed
        self.listener = Listener(self.database, heard, origin)
        self.pages = routes.make_pages(settings)
        table = self.routes()
        self.access_log = make_access_log(settings, counted, table)
        self.head_cache = make_head_cache(
            settings, self.cache, make_count(counted, self.access_log), timer
        )
        parts = self.access_log, self.head_cache, self.backlog, self.broadcast
        self.site = make_web_server(settings, table, self.pages, *parts)
        self.timers = self._timers()
        self.read, self.tasks = asyncio.Event(), Tasks()
        self.port = settings.port

    def _timers(self) -> Timers:
        """What each process does again and again, once the database is there."""
        return Timers(
            (
                (self.access_log.summarise, SUMMARY_SECONDS),
                (self.upstream.save, MAKE_UP_SECONDS),
                (self.consent_monitor.tick, CONSENT_SECONDS),
                (self._catch_up, LOOK_SECONDS),
                (self.cache.tick, CACHE_TICK),
                (partial(self.builders.call, trimming.give_back), trimming.TRIM_SECONDS),
            )
        )

    def routes(self) -> list[Any]:
        """What is answered, and by which handler."""
        return routes.table(
            self.settings,
            database=self.database,
            cache=self.cache,
            broadcast=self.broadcast,
            login_service=self.login_service,
            read_status=self.status.read,
            syncer=self.syncer,
            metrics=self.metrics,
            probe=self.probe,
            lag=self.lag,
            builders=self.builders,
            admission=self.admission,
            pages=self.pages,
        )

    def _interval(self) -> timedelta:
        """How far apart syncs are at the moment; zero when there are none."""
        return timedelta(seconds=self.syncer.schedule.interval)

    def start(self) -> None:
        """Listen, and begin everything else behind it. Raises AddressUnavailable."""
        self.listen()
        self.site.open()
        self.begin()

    def listen(self) -> None:
        """Let clients come; they wait until the site opens. Raises AddressUnavailable."""
        shared = self.settings.processes > 1
        self.port = self.site.listen(self.settings.host, self.settings.port, shared=shared)

    def begin(self) -> None:
        """Begin everything behind; `read` is set when what the database has can be served."""
        self.metrics.start()
        self.tasks.spawn(self._boot())

    async def _boot(self) -> None:
        """Database, schema, what is there already, first sync; then the timers take over."""
        await self.supervisor.connect()
        self.tasks.spawn(self.supervisor.supervise())
        await attempt(self.consent_monitor.begin)
        self.tasks.spawn(self.listener.run())
        with suppress(TimeoutError):  # heard first, read then: no sync of others slips between
            await asyncio.wait_for(self.listener.listening.wait(), LISTEN_SECONDS)
        await attempt(self._data_changed)
        self.read.set()
        await attempt(self.consent_monitor.tick)
        self.consent_monitor.log_owner()
        self.timers.start()
        if self.settings.sync_interval:
            await self.jobs.run()

    def _ended(self, report: Report) -> None:
        """A sync of ours has ended, well or not; what a failed one has cost is told at once."""
        attempt_now(partial(count_sync, self.instruments, report), None)
        if report.outcome == "failed":  # after the others, `_data_changed` has looked
            self.tasks.spawn(attempt(self._load_upstream_status))

    async def _data_changed(self) -> None:
        """Serve and tell what is new, whichever process brought it. Raises DatabaseError."""
        self.details.wake()
        await attempt_each(self.cache.refresh, self.broadcast.feed, self._load_upstream_status)

    async def _heard(self) -> None:
        """Another process has brought something, which moves the time of our next sync, too."""
        await self._data_changed()
        await self.jobs.follow(self.upstream_status.history, news=True)

    async def _catch_up(self) -> None:
        """Read what other processes have called; make up for a notice that was missed."""
        await attempt(self._load_upstream_status)
        await attempt(self.broadcast.feed)
        await self.lag.heal()

    async def _load_upstream_status(self) -> None:
        await self.upstream_status.load()
        self.lag.refresh()
        self.upstream.limiter.learn(self.upstream_status.usage)
        await self.jobs.follow(self.upstream_status.history)

    async def _logins_changed(self) -> None:
        """A login has come, gone or died, here or in another process."""
        self.upstream.tokens.forget()
        await attempt(self.consent_monitor.load)

    async def stop(self) -> None:
        """The mirror of `start`: no new connections, answer what is in flight, end all else."""
        for step in (
            self.broadcast.close,
            self.site.close,
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
