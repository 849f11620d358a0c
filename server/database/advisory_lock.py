"""Locks shared by all processes on one database, each held by a session and lost with it.

Source: postgresql.org/docs/current/explicit-locking.html (advisory locks).
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from server.database import dedicated_connection, schema
from server.database.engine import translated_errors
from server.database.executor import Database
from server.errors import DatabaseError, DatabaseUnavailable, LockLost, SchemaMismatch
from server.threads import Threads

LEADER = 0x6C656164  # arbitrary keys, the same on every host
SYNC = 0x73796E64

CHECK_SECONDS = 3.0  # between a holder's checks that it still has the lock
ANSWER_SECONDS = 3.0  # time limit of such a check
RELEASE_SECONDS = 1.0
# Within these times, PostgreSQL ends the session of a holder that is frozen or disconnected.
SESSION = {
    "idle_session_timeout": "12s",
    "tcp_keepalives_idle": "3",
    "tcp_keepalives_interval": "3",
    "tcp_keepalives_count": "3",
}
CONFIGURE = (
    "SELECT set_config(name, value, false) FROM unnest(%s, %s) AS setting (name, value) "
    "WHERE current_setting(name, true) IS NOT NULL"
)
HELD = text(
    "SELECT EXISTS (SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = database "
    "WHERE datname = current_database() AND locktype = 'advisory' AND granted "
    "AND classid = 0 AND objid = :key AND objsubid = 1)"
)


class SessionLock:
    """A session-level advisory lock, identified by `key`.

    It has its own thread and connection, so that a busy pool does not look like a lost lock. With a
    `channel`, listeners are notified, with payload `origin`, when the lock is acquired or released.
    """

    def __init__(
        self, database: Database, key: int, channel: str | None = None, origin: str = ""
    ) -> None:
        self._database = database
        self._key = key
        self._channel = channel
        self._origin = origin
        self._threads = Threads(1, gives_way=False)
        self._connection: Any = None

    async def acquire(self) -> bool:
        """Try to acquire the lock without waiting; return whether it is ours now.

        The connection stays open for the next attempt. Raises DatabaseError, or SchemaMismatch if
        another version of this program has migrated the database.
        """
        if self._connection is None:
            self._connection = await dedicated_connection.connect(
                self._database, self._compute, _configure_session
            )
        taken = bool(await self._query("SELECT pg_try_advisory_lock(%s)", self._key))
        if taken:
            await self.check_schema()
            await self._notify()
        return taken

    async def check(self) -> None:
        """Check the connection, which also keeps it alive.

        Raises DatabaseError if the session, and so the lock, is lost.
        """
        await self._query("SELECT 1")

    async def check_schema(self) -> None:
        """Check that the schema is this program's; if not, disconnect and raise SchemaMismatch."""
        found = await self._query(schema.FIND_REVISION)
        try:
            schema.require(found)
        except SchemaMismatch:
            self._disconnect()
            raise

    async def release(self) -> None:
        """Release the lock, close the connection and stop the thread. Raises nothing."""
        with suppress(DatabaseError):
            await self._query("SELECT pg_advisory_unlock_all()", seconds=RELEASE_SECONDS)
            await self._notify()
        self._disconnect()
        self._threads.close(0)

    async def _notify(self) -> None:
        if self._channel is not None:
            await self._query("SELECT pg_notify(%s, %s)", self._channel, self._origin)

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Hold an acquired lock while the body runs, then release it.

        Raises LockLost, and cancels the body, if the connection is lost and another session
        acquires the lock before this one does again.
        """
        limit = asyncio.timeout(None)
        monitor: asyncio.Task[None] | None = None
        try:
            async with limit:
                monitor = asyncio.create_task(self._monitor(limit))
                yield
        except TimeoutError as error:
            if limit.expired():
                raise LockLost(
                    "the connection was lost, and another process has the lock"
                ) from error
            raise
        finally:
            if monitor is not None:
                monitor.cancel()
                await asyncio.wait([monitor])
            await self.release()

    async def _monitor(self, limit: asyncio.Timeout) -> None:
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            with suppress(DatabaseError):  # without a database, no process gets the lock
                if not await self._is_held():
                    limit.reschedule(asyncio.get_running_loop().time())
                    return

    async def _is_held(self) -> bool:
        try:
            await self.check()
        except DatabaseError:
            try:
                return await self.acquire()
            except SchemaMismatch:
                return False
        return True

    async def _query(self, statement: str, *values: Any, seconds: float = ANSWER_SECONDS) -> Any:
        """Return the single value of a result; disconnect on any failure."""
        if self._connection is None:
            raise DatabaseUnavailable("not connected")
        try:
            async with asyncio.timeout(seconds):
                return await self._compute(_value, self._connection, statement, values)
        except TimeoutError as error:
            self._disconnect()
            raise DatabaseUnavailable(f"no answer in {seconds:.0f} s") from error
        except DatabaseError:
            self._disconnect()
            raise

    async def _compute(self, function: Any, *arguments: Any) -> Any:
        if self._threads.closed:
            raise DatabaseUnavailable("the lock has been released")
        return await self._threads.call(function, *arguments)

    def _disconnect(self) -> None:
        if self._connection is not None:
            _close(self._connection)
            self._connection = None


def is_held(session: Session, key: int) -> bool:
    """Return whether any session holds a lock on this database; keys are below 2 ** 32."""
    return bool(session.scalar(HELD, {"key": key}))


def _configure_session(cursor: Any) -> None:
    """Set the session's time-outs; older servers do not have all of the settings."""
    cursor.execute(CONFIGURE, (list(SESSION), list(SESSION.values())))


def _value(connection: Any, statement: str, values: tuple[Any, ...]) -> Any:
    with translated_errors(), connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchone()[0]


def _close(connection: Any) -> None:
    """Close a connection, first its socket, because a thread may still wait for a response."""
    with suppress(Exception), socket.socket(fileno=os.dup(connection.fileno())) as wire:
        wire.shutdown(socket.SHUT_RDWR)
    connection.close()
