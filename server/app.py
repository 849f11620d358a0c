"""The wiring: every part made once, by hand; the routes on one screen; how it starts and stops."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import structlog
from tornado.ioloop import PeriodicCallback

from handlers.artists import ArtistsHandler
from handlers.base import NotFoundHandler
from handlers.docs import OpenApiHandler
from handlers.health import HealthHandler, ReadyHandler
from server import schema
from server.access_log import SUMMARY_SECONDS, AccessLog
from server.catalog import reader, store
from server.catalog.cache import PayloadCache
from server.catalog.description import openapi
from server.catalog.sync import Syncer
from server.config import Settings
from server.database import Database
from server.errors import DatabaseError
from server.notices import Listener
from server.readiness import DatabaseProbe
from server.site import Site
from server.spotify.client import SpotifyClient
from server.spotify.oauth import Accounts
from server.spotify.tokens import TokenKeeper
from server.spotify.transport import Transport
from server.threads import Threads

KEEP_SECONDS = 5.0  # how often the embedded database is looked after
LONGEST_BACKOFF = 30.0
BUILDERS = 2  # threads
BUILD_SECONDS = 0.5  # how long the end waits for a payload in the making
LISTEN_SECONDS = 2.0  # how long the first snapshot waits for the listener
SYNC_TICK = 1.0  # seconds; how often it is looked whether a sync is due

log = structlog.get_logger()


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


def make_syncer(
    settings: Settings,
    database: Database,
    transport: Transport,
    announce: Callable[[], Awaitable[None]],
    now: Callable[[], datetime] = utc_now,
    origin: str = "",
) -> Syncer:
    """The part that asks Spotify, with all it needs."""
    accounts = Accounts(
        transport,
        settings.spotify_accounts_url,
        settings.client_id,
        settings.client_secret.get_secret_value(),
    )
    tokens = TokenKeeper(
        database, accounts, settings.client_id, settings.secret.get_secret_value(), now
    )
    return Syncer(
        SpotifyClient(transport, tokens, settings.spotify_api_url, now),
        database,
        announce,
        setting=settings.sync_source,
        max_releases=settings.sync_max_releases,
        interval=settings.sync_interval,
        now=now,
        origin=origin,
    )


class Freshet:
    """One process of the server. `start()` listens at once; the database may come later."""

    def __init__(self, settings: Settings, now: Callable[[], datetime] = utc_now) -> None:
        self.settings = settings
        origin = uuid.uuid4().hex
        self.database = Database(settings.database_url)
        self.probe = DatabaseProbe(self.database)
        self.builders = Threads(BUILDERS)
        self.cache = PayloadCache(
            lambda: self.database.run(reader.load),
            self._build,
            ttl=settings.cache_ttl,
            max_age=settings.cache_max_age,
            sync_interval=timedelta(seconds=settings.sync_interval),
            now=now,
            timer=time.monotonic,
        )
        self.transport = Transport()
        self.syncer = make_syncer(
            settings, self.database, self.transport, self.cache.refresh, now, origin
        )
        self.listener = Listener(self.database, store.CHANNEL, origin, self.cache.refresh)
        self.access_log = AccessLog(settings.access_log)
        self.site = Site(self._routes(), self.access_log, NotFoundHandler)
        self.timers = [
            PeriodicCallback(self.access_log.summarise, SUMMARY_SECONDS * 1000),
            PeriodicCallback(self._look_after_database, KEEP_SECONDS * 1000),
        ]
        if settings.sync_interval:
            self.timers.append(PeriodicCallback(self.syncer.tick, SYNC_TICK * 1000))
        self._tasks: list[asyncio.Task[None]] = []
        self.port = settings.port

    def _routes(self) -> list[Any]:
        return [
            (r"/api/artists/?", ArtistsHandler, {"cache": self.cache}),
            (r"/api/openapi\.json", OpenApiHandler, {"document": orjson.dumps(openapi())}),
            (r"/healthz", HealthHandler),
            (r"/readyz", ReadyHandler, {"probe": self.probe, "cache": self.cache}),
        ]

    async def _build(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Make payloads in threads of their own, which no frozen database can hold up."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.builders, function, *arguments)

    def start(self) -> None:
        """Listen, and begin everything else behind it. Raises AddressUnavailable."""
        self.port = self.site.listen(self.settings.host, self.settings.port)
        self._spawn(self._boot())

    async def _boot(self) -> None:
        """Database, schema, what is there already, first sync; then the timers take over."""
        await self._connect()
        self._spawn(self.listener.run())
        with suppress(TimeoutError):  # heard first, read then: no sync of others slips between
            await asyncio.wait_for(self.listener.listening.wait(), LISTEN_SECONDS)
        await self._try(self.cache.refresh())
        for timer in self.timers:
            timer.start()
        if self.settings.sync_interval:
            await self.syncer.tick()

    async def _connect(self) -> None:
        """Reach the database and bring its schema up to date, for as long as it takes."""
        pause = 1.0
        while True:
            try:
                await self._start_database()
                await self.database.compute(schema.create, self.database.engine)
                return
            except DatabaseError as error:
                log.error("database_unavailable", reason=str(error), retry_seconds=pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_BACKOFF)

    async def _look_after_database(self) -> None:
        """Start the embedded server again if it has gone."""
        await self._try(self._start_database())

    async def _start_database(self) -> None:
        if await self.database.compute(self.database.connect):
            log.info("database_started", address=str(self.settings.database_url))

    async def _try(self, work: Awaitable[None]) -> None:
        try:
            await work
        except DatabaseError as error:
            log.warning("database_unavailable", reason=str(error))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        task.add_done_callback(_tell_of_a_crash)
        self._tasks.append(task)

    async def stop(self) -> None:
        """The mirror of `start`: no new connections, answer what is in flight, end all else."""
        await self.site.close()
        for timer in self.timers:
            timer.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.syncer.stop()
        self.access_log.summarise()
        self.transport.close()
        self.builders.close(BUILD_SECONDS)
        self.database.close()
        log.info("server_stopped")


def _tell_of_a_crash(task: "asyncio.Task[None]") -> None:
    """A part that ends by an error we did not foresee must not do so silently."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("task_crashed", exc_info=error)
