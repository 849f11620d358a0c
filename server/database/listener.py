"""LISTEN on the IOLoop: every process is notified of each sync, whichever process made it.

Source: postgresql.org/docs/current/sql-listen.html; psycopg.org/docs/advanced.html (notifications).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog

from server.database import dedicated_connection
from server.database.engine import translated_errors
from server.database.executor import Database
from server.errors import DatabaseError

RETRY_SECONDS = 5.0

log = structlog.get_logger()


class NotificationListener:
    """Calls the functions of `channels` for notifications that did not come from `origin`.

    Uses its own connection. A notification may be missed when that is lost, so all functions are
    called after each reconnection. A DatabaseError of a function counts as a lost connection; any
    other error is logged, and listening continues. `listening` is set once the first connection
    listens.
    """

    def __init__(
        self,
        database: Database,
        channels: Mapping[str, Callable[[], Awaitable[None]]],
        origin: str,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._database = database
        self._channels = channels
        self._origin = origin
        self._retry_seconds = retry_seconds
        self.listening = asyncio.Event()

    async def run(self) -> None:
        """Listen until cancelled."""
        may_have_missed = False
        while True:
            try:
                connection = await dedicated_connection.connect(
                    self._database, self._database.compute, self._subscribe
                )
                self.listening.set()
                try:
                    await self._receive(connection, may_have_missed)
                finally:
                    connection.close()
            except Exception as error:
                log.warning(
                    "listener_lost",
                    reason=str(error),
                    retry_seconds=self._retry_seconds,
                    exc_info=not isinstance(error, DatabaseError),
                )
            may_have_missed = True
            await asyncio.sleep(self._retry_seconds)

    def _subscribe(self, cursor: Any) -> None:
        for channel in self._channels:
            cursor.execute(f'LISTEN "{channel}"')

    async def _receive(self, connection: Any, call_all: bool) -> None:
        """Dispatch notifications until the connection is lost, which raises DatabaseUnavailable.

        `call_all` says whether to begin with all channels. Notifications that arrive during a call
        wait in the socket and lead to one more call together.
        """
        due = set(self._channels) if call_all else set()
        while True:
            with translated_errors():
                connection.poll()
            notices = connection.notifies
            due |= {notice.channel for notice in notices if notice.payload != self._origin}
            notices.clear()
            if due:
                await self._call(due.pop())
            else:
                await _readable(connection.fileno())

    async def _call(self, channel: str) -> None:
        try:
            await self._channels[channel]()
        except DatabaseError:
            raise
        except Exception:
            log.exception("notice_failed")


async def _readable(descriptor: int) -> None:
    """Wait until a descriptor is readable.

    It is watched only meanwhile; otherwise the loop would spin while a callback runs.
    """
    loop, readable = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(descriptor)
