"""LISTEN on the IOLoop: every process hears of each sync, whoever made it.

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


class Listener:
    """Calls what `channels` names for notices that did not come from `origin`, ourselves.

    It holds a connection of its own. When that is lost a notice may be missed, so after each
    reconnection all are called. A DatabaseError of theirs counts as such a loss; any other error is
    logged, and listening goes on. `listening` is set once the first connection hears.
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
                    await self._hear(connection, may_have_missed)
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

    async def _hear(self, connection: Any, told: bool) -> None:
        """Pass notices on until the connection is lost, which raises DatabaseUnavailable.

        `told` says whether to begin with all channels. Notices that come while one is told are
        waiting in the socket, and all together tell it once more.
        """
        due = set(self._channels) if told else set()
        while True:
            with translated_errors():
                connection.poll()
            heard = connection.notifies
            due |= {notice.channel for notice in heard if notice.payload != self._origin}
            heard.clear()
            if due:
                await self._tell(due.pop())
            else:
                await _readable(connection.fileno())

    async def _tell(self, channel: str) -> None:
        try:
            await self._channels[channel]()
        except DatabaseError:
            raise
        except Exception:
            log.exception("notice_failed")


async def _readable(descriptor: int) -> None:
    """Wait for something to read; only so long, or the loop would spin on what nobody reads."""
    loop, readable = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(descriptor)
