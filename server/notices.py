"""LISTEN on the IOLoop: every process hears of each sync, whoever made it.

Source: postgresql.org/docs/current/sql-listen.html; psycopg.org/docs/advanced.html (notifications).
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import psycopg2
import structlog

from server.database import Database, translated_errors
from server.errors import DatabaseError

RETRY_SECONDS = 5.0

log = structlog.get_logger()


class Listener:
    """Calls `on_notice` for notices on `channel` that did not come from `origin`, ourselves.

    It holds a connection of its own. When that is lost a notice may be missed, so after each
    reconnection `on_notice` is called too.
    """

    def __init__(
        self,
        database: Database,
        channel: str,
        origin: str,
        on_notice: Callable[[], Awaitable[None]],
    ) -> None:
        self._database = database
        self._channel = channel
        self._origin = origin
        self._on_notice = on_notice

    async def run(self) -> None:
        """Listen until cancelled."""
        first = True
        while True:
            try:
                connection = await self._database.compute(self._subscribe)
                try:
                    if not first:
                        await self._on_notice()
                    first = False
                    await self._hear(connection)
                finally:
                    connection.close()
            except DatabaseError as error:
                log.warning("listener_lost", reason=str(error), retry_seconds=RETRY_SECONDS)
            await asyncio.sleep(RETRY_SECONDS)

    def _subscribe(self) -> Any:
        with translated_errors():
            pooled = self._database.engine.raw_connection()
            connection: Any = pooled.driver_connection
            pooled.detach()
            connection.set_session(autocommit=True)
            with connection.cursor() as cursor:
                cursor.execute(f'LISTEN "{self._channel}"')
            return connection

    async def _hear(self, connection: Any) -> None:
        """Pass notices on until the connection is lost, which raises DatabaseUnavailable."""
        loop, readable = asyncio.get_running_loop(), asyncio.Event()
        descriptor = connection.fileno()
        loop.add_reader(descriptor, readable.set)
        try:
            while True:
                await readable.wait()
                readable.clear()
                with translated_errors():
                    connection.poll()
                heard = {notice.payload for notice in connection.notifies}
                connection.notifies.clear()
                if heard - {self._origin}:
                    await self._on_notice()
        finally:
            with suppress(psycopg2.Error):
                loop.remove_reader(descriptor)
