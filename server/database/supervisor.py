"""Supervises the database: connects at the start, and restarts the embedded server."""

import asyncio

import structlog

from server.config.addresses import EmbeddedDatabase
from server.database import schema
from server.database.executor import Database
from server.errors import DatabaseError, DatabaseUnsuitable, SchemaMismatch

LONGEST_BACKOFF = 30.0  # seconds
WATCH_SECONDS = 0.5  # between checks that the embedded server runs
RETRY_SECONDS = 5.0  # after a failed start

log = structlog.get_logger()


class DatabaseSupervisor:
    """Starts the embedded server, if there is one, and upgrades the schema."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.refusal: str | None = None  # why a reachable database is not used

    async def connect(self) -> None:
        """Connect to the database and migrate it; retry until that succeeds."""
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
        """Restart the embedded server, if there is one, whenever it has stopped.

        Runs until cancelled.
        """
        if not isinstance(self._database.address, EmbeddedDatabase):
            return
        while True:
            running = await self.try_to_start()
            await asyncio.sleep(WATCH_SECONDS if running else RETRY_SECONDS)

    async def try_to_start(self) -> bool:
        """Start the embedded server unless it runs; return whether it runs now, log an error."""
        try:
            await self.start()
        except Exception as error:
            _log(error, RETRY_SECONDS)
            return False
        return True

    async def start(self) -> None:
        """Start the embedded server unless it runs. Raises DatabaseError."""
        if await self._database.start():
            log.info("database_started", address=str(self._database.address))


def _log(error: Exception, retry_seconds: float) -> None:
    """Log why the database is unavailable, with a traceback if the error is unexpected."""
    log.error(
        "database_unavailable",
        reason=str(error),
        retry_seconds=retry_seconds,
        exc_info=not isinstance(error, DatabaseError),
    )
