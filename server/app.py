"""The wiring: every part made once, by hand; the routes on one screen; how it starts and stops."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import structlog
from tornado.ioloop import PeriodicCallback

from handlers.base import NotFoundHandler
from server import routes
from server.access_log import SUMMARY_SECONDS, AccessLog
from server.catalog import journal, reader, store
from server.catalog.broadcast import Broadcast
from server.catalog.cache import PayloadCache
from server.catalog.gauges import Gauges
from server.catalog.retention import Retention
from server.catalog.standing import Standing
from server.config import Settings
from server.database import Database
from server.errors import DatabaseError
from server.keeper import DatabaseKeeper
from server.lane.memo import Memo
from server.login.watch import ConsentWatch
from server.metrics import Metrics
from server.notices import Listener
from server.readiness import DatabaseProbe
from server.site import Site
from server.spotify import logins
from server.tasks import Tasks
from server.threads import Threads
from server.upstream import Upstream, make_desk, make_details, make_syncer, utc_now

CONSENT_SECONDS = 3600.0  # how often it is looked how long the consent lasts
LOOK_SECONDS = 10.0  # how often it is looked what other processes have done
KEEP_SECONDS = 5.0  # how often the embedded database is looked after
BUILDERS = 2  # threads
BUILD_SECONDS = 0.5  # how long the end waits for a payload in the making
LISTEN_SECONDS = 2.0  # how long the first snapshot waits for the listener
SYNC_TICK = 1.0  # seconds; how often it is looked whether a sync is due
DETAILS_TICK = 3.0  # seconds; so far apart are the calls for artists' details
RETENTION_TICK = 3600.0  # seconds

log = structlog.get_logger()


class Freshet:
    """One process of the server. `start()` listens at once; the database may come later."""

    def __init__(self, settings: Settings, now: Callable[[], datetime] = utc_now) -> None:
        self.settings = settings
        origin = uuid.uuid4().hex
        self.database = Database(settings.database_url)
        self.keeper = DatabaseKeeper(self.database)
        self.probe = DatabaseProbe(self.database)
        self.builders = Threads(BUILDERS)
        self.cache = PayloadCache(
            lambda: self.database.run(reader.load),
            lambda day: self.database.run(reader.load_day, day),
            self._build,
            ttl=settings.cache_ttl,
            max_age=settings.cache_max_age,
            root=settings.public_url,
            interval=self._interval,
            now=now,
            timer=time.monotonic,
        )
        self.broadcast = Broadcast(
            lambda after, limit: self.database.run(journal.entries, after, limit),
            lambda limit: self.database.run(journal.latest_entries, limit),
        )
        self.upstream = Upstream(settings, self.database, now)
        self.syncer = make_syncer(
            settings, self.database, self.upstream, self._synced, now, origin=origin
        )
        self.standing = Standing(self.database, self.upstream.gate.allowance, now)
        self.details = make_details(
            self.database, self.upstream, self.syncer, self.cache.refresh, now, origin
        )
        keep = timedelta(days=settings.retention_days)
        self.retention = Retention(self.database, self._data_changed, keep, now, origin)
        self.watch = ConsentWatch(self.database, self.upstream.keyring, settings.allowed_users, now)
        self.desk = make_desk(settings, self.database, self.upstream, self._logins_changed, now)
        self.metrics = Metrics(
            days_to_reconsent=self.watch.days_left,
            token_renewals=self.upstream.renewer.renewals,
            gauges=Gauges(self.cache, self.standing, self.syncer, self.broadcast, now).read,
        )
        self.listener = Listener(
            self.database,
            {store.CHANNEL: self._data_changed, logins.CHANNEL: self._logins_changed},
            origin,
        )
        self.access_log = AccessLog(settings.access_log)
        self.memo = Memo(
            self.cache.shelf, self.cache.demand, self._count_hits, time.time, time.monotonic
        )
        self.site = Site(self.routes(), self.access_log, NotFoundHandler, self.memo)
        self.timers = self._timers()
        self.tasks = Tasks()
        self.port = settings.port

    def _timers(self) -> list[PeriodicCallback]:
        """What is done again and again, once the database is there."""
        timers = [
            PeriodicCallback(self.access_log.summarise, SUMMARY_SECONDS * 1000),
            PeriodicCallback(self._look_after_database, KEEP_SECONDS * 1000),
            PeriodicCallback(self._look_after_consent, CONSENT_SECONDS * 1000),
            PeriodicCallback(self._look_around, LOOK_SECONDS * 1000),
        ]
        if self.settings.sync_interval:
            timers += [
                PeriodicCallback(self.syncer.tick, SYNC_TICK * 1000),
                PeriodicCallback(self.details.tick, DETAILS_TICK * 1000),
                PeriodicCallback(self.retention.tick, RETENTION_TICK * 1000),
            ]
        return timers

    def routes(self) -> list[Any]:
        """What is answered, and by which handler."""
        return routes.table(
            self.settings,
            database=self.database,
            cache=self.cache,
            broadcast=self.broadcast,
            desk=self.desk,
            watch=self.watch,
            standing=self.standing,
            syncer=self.syncer,
            metrics=self.metrics,
            probe=self.probe,
        )

    def _count_hits(self, route: str, method: str, status: int, hits: int) -> None:
        """The fast lane has sent so many answers."""
        self.access_log.count(hits)
        self.metrics.lane_hits[route, method, str(status)] += hits

    def _interval(self) -> timedelta:
        """How far apart syncs are at the moment; zero when there are none."""
        return timedelta(seconds=self.syncer.schedule.interval)

    async def _build(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Make payloads in threads of their own, which no frozen database can hold up."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.builders, function, *arguments)

    def start(self) -> None:
        """Listen, and begin everything else behind it. Raises AddressUnavailable."""
        self.port = self.site.listen(self.settings.host, self.settings.port)
        self.tasks.spawn(self._boot())

    async def _boot(self) -> None:
        """Database, schema, what is there already, first sync; then the timers take over."""
        await self.keeper.connect()
        await self._try(self.watch.begin())
        self.tasks.spawn(self.listener.run())
        with suppress(TimeoutError):  # heard first, read then: no sync of others slips between
            await asyncio.wait_for(self.listener.listening.wait(), LISTEN_SECONDS)
        await self._try(self._data_changed())
        await self._look_after_consent()
        unowned = self.watch.known and self.watch.consent is None
        if unowned and not self.settings.allowed_users:
            log.info("server_unowned", note="the first account to log in will own it")
        if self.settings.sync_interval:
            await self._try(self.syncer.resume())
            self.details.wake()
        for timer in self.timers:
            timer.start()
        if self.settings.sync_interval:
            await self.syncer.tick()

    async def _look_after_database(self) -> None:
        """Start the embedded server again if it has gone; write what it missed meanwhile."""
        await self._try(self.keeper.start())
        await self._try(self.upstream.save())

    async def _look_after_consent(self) -> None:
        """See how long it lasts, and remind of its end."""
        await self._try(self.watch.tick())

    async def _synced(self) -> None:
        """A sync of ours has ended that brought something."""
        self.details.wake()
        await self._data_changed()

    async def _data_changed(self) -> None:
        """There is something new to serve and to tell, brought by this process or another."""
        await self.cache.refresh()
        await self.broadcast.feed()
        await self._load_standing()

    async def _look_around(self) -> None:
        """See what others have called; heal a notice that was missed."""
        await self._try(self._load_standing())
        await self._try(self.broadcast.feed())

    async def _load_standing(self) -> None:
        await self.standing.load()
        self.upstream.gate.learn(self.standing.books)

    async def _logins_changed(self) -> None:
        """A login has come, gone or died, here or in another process."""
        self.upstream.tokens.forget()
        await self._try(self.watch.load())

    async def _try(self, work: Awaitable[None]) -> None:
        try:
            await work
        except DatabaseError as error:
            log.warning("database_unavailable", reason=str(error))

    async def stop(self) -> None:
        """The mirror of `start`: no new connections, answer what is in flight, end all else."""
        self.broadcast.close()
        await self.site.close()
        for timer in self.timers:
            timer.stop()
        await self.tasks.stop()
        await self.syncer.stop()
        self.access_log.summarise()
        await self.upstream.stop()
        self.builders.close(BUILD_SECONDS)
        self.database.close()
        log.info("server_stopped")
