"""Keeps the database reachable: at the start for as long as it takes, and whenever it has gone."""

import asyncio

import structlog

from server import schema
from server.database import Database
from server.errors import DatabaseError

LONGEST_BACKOFF = 30.0  # seconds
KEEP_SECONDS = 5.0  # how often it is looked whether the embedded server runs

log = structlog.get_logger()


class DatabaseKeeper:
    """Starts the embedded server where there is one, and brings the schema up to date."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def connect(self) -> None:
        """Reach the database and migrate it, for as long as it takes."""
        pause = 1.0
        while True:
            try:
                await self.start()
                await self._database.compute(schema.create, self._database.engine)
                return
            except DatabaseError as error:
                log.error("database_unavailable", reason=str(error), retry_seconds=pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_BACKOFF)

    async def start(self) -> None:
        """Start the embedded server if it does not run. Raises DatabaseError."""
        if await self._database.compute(self._database.connect):
            log.info("database_started", address=str(self._database.address))
