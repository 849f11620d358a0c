"""LISTEN on the IOLoop: every process hears of each sync, whoever made it.

Source: postgresql.org/docs/current/sql-listen.html; psycopg.org/docs/advanced.html (notifications).
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from server.database import Database, translated_errors
from server.errors import DatabaseError

RETRY_SECONDS = 5.0

log = structlog.get_logger()


class Listener:
    """Calls `on_notice` for notices on `channel` that did not come from `origin`, ourselves.

    It holds a connection of its own. When that is lost a notice may be missed, so after each
    reconnection `on_notice` is called too. A DatabaseError of `on_notice` counts as such a loss;
    any other error is logged, and listening goes on. `listening` is set once the first connection
    hears.
    """

    def __init__(
        self,
        database: Database,
        channel: str,
        origin: str,
        on_notice: Callable[[], Awaitable[None]],
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._database = database
        self._channel = channel
        self._origin = origin
        self._on_notice = on_notice
        self._retry_seconds = retry_seconds
        self.listening = asyncio.Event()

    async def run(self) -> None:
        """Listen until cancelled."""
        may_have_missed = False
        while True:
            try:
                connection = await self._connect()
                self.listening.set()
                try:
                    await self._hear(connection, may_have_missed)
                finally:
                    connection.close()
            except DatabaseError as error:
                log.warning("listener_lost", reason=str(error), retry_seconds=self._retry_seconds)
            may_have_missed = True
            await asyncio.sleep(self._retry_seconds)

    async def _connect(self) -> Any:
        """A connection that listens; if we are cancelled meanwhile, nobody keeps it."""
        subscribing = asyncio.ensure_future(self._database.compute(self._subscribe))
        try:
            return await asyncio.shield(subscribing)
        except asyncio.CancelledError:
            subscribing.add_done_callback(_close_unwanted)
            raise

    def _subscribe(self) -> Any:
        with translated_errors():
            pooled = self._database.engine.raw_connection()
            connection: Any = pooled.driver_connection
            pooled.detach()
            try:
                connection.set_session(autocommit=True)
                with connection.cursor() as cursor:
                    cursor.execute(f'LISTEN "{self._channel}"')
            except BaseException:
                connection.close()
                raise
            return connection

    async def _hear(self, connection: Any, told: bool) -> None:
        """Pass notices on until the connection is lost, which raises DatabaseUnavailable.

        `told` says whether to begin with `on_notice`. Those that come while it runs are waiting in
        the socket, and all together call it once more.
        """
        while True:
            with translated_errors():
                connection.poll()
            heard = {notice.payload for notice in connection.notifies}
            connection.notifies.clear()
            if told or heard - {self._origin}:
                told = False
                await self._tell()
            else:
                await _readable(connection.fileno())

    async def _tell(self) -> None:
        try:
            await self._on_notice()
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


def _close_unwanted(subscribed: "asyncio.Future[Any]") -> None:
    if not subscribed.cancelled() and subscribed.exception() is None:
        subscribed.result().close()
