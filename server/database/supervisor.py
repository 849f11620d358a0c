"""Keeps the database reachable: at the start for as long as it takes, and whenever it has gone."""

import asyncio

import structlog

from server.config.addresses import EmbeddedDatabase
from server.database import schema
from server.database.executor import Database
from server.errors import DatabaseError, DatabaseUnsuitable, SchemaMismatch

LONGEST_BACKOFF = 30.0  # seconds
WATCH_SECONDS = 0.5  # how often it is looked whether the embedded server runs
REST_SECONDS = 5.0  # after a start that failed

log = structlog.get_logger()


class DatabaseSupervisor:
    """Starts the embedded server where there is one, and brings the schema up to date."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.refusal: str | None = None  # why the database is not used although it answers

    async def connect(self) -> None:
        """Reach the database and migrate it, for as long as it takes."""
        pause = 1.0
        while True:
            try:
                await self.start()
                await self._database.compute(schema.create, self._database.engine)
                self.refusal = None
                return
            except Exception as error:
                unfit = isinstance(error, DatabaseUnsuitable | SchemaMismatch)
                self.refusal = str(error) if unfit else None
                _log(error, pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_BACKOFF)

    async def supervise(self) -> None:
        """Start the embedded server, if there is one, whenever it has gone, until cancelled."""
        if not isinstance(self._database.address, EmbeddedDatabase):
            return
        while True:
            there = await self.try_to_start()
            await asyncio.sleep(WATCH_SECONDS if there else REST_SECONDS)

    async def try_to_start(self) -> bool:
        """Start the embedded server if it does not run; whether it does now. Tells if not."""
        try:
            await self.start()
        except Exception as error:
            _log(error, REST_SECONDS)
            return False
        return True

    async def start(self) -> None:
        """Start the embedded server if it does not run. Raises DatabaseError."""
        if await self._database.start():
            log.info("database_started", address=str(self._database.address))


def _log(error: Exception, retry_seconds: float) -> None:
    """Log why there is no database; with a traceback if nobody foresaw that."""
    log.error(
        "database_unavailable",
        reason=str(error),
        retry_seconds=retry_seconds,
        exc_info=not isinstance(error, DatabaseError),
    )
