"""Locks among all processes on one database: each held by a session of its own, and lost with it.

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

LEADER = 0x6C656164  # any numbers of our own, the same on every host
SYNC = 0x73796E64

CHECK_SECONDS = 3.0  # how often a holder looks whether the lock is still its own
ANSWER_SECONDS = 3.0  # how long the database may take to say so
RELEASE_SECONDS = 1.0
# A holder that is frozen or whose host has vanished loses the lock within so long.
SESSION = {
    "idle_session_timeout": "12s",
    "tcp_keepalives_idle": "3",
    "tcp_keepalives_interval": "3",
    "tcp_keepalives_count": "3",
}
HELD = text(
    "SELECT EXISTS (SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = database "
    "WHERE datname = current_database() AND locktype = 'advisory' AND granted "
    "AND classid = 0 AND objid = :key AND objsubid = 1)"
)


class SessionLock:
    """One lock by its `key`. It has a thread of its own: a busy pool must not look like a loss.

    With a `channel` all who listen to that are told, as by `origin`, when it is taken and released.
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

    async def take(self) -> bool:
        """Take the lock unless another session has it; whether it is ours now.

        The connection stays for the next try. Raises DatabaseError; SchemaMismatch if what it is
        for is left to another version of this program.
        """
        if self._connection is None:
            self._connection = await dedicated_connection.connect(
                self._database, self._compute, _watch
            )
        taken = bool(await self._ask("SELECT pg_try_advisory_lock(%s)", self._key))
        if taken:
            await self.check_schema()
            await self._tell()
        return taken

    async def check(self) -> None:
        """Show that we are alive. Raises DatabaseError if the session, and so the lock, is lost."""
        await self._ask("SELECT 1")

    async def check_schema(self) -> None:
        """Let go, and raise SchemaMismatch, if the schema is not this program's any more."""
        found = await self._ask(schema.FIND)
        try:
            schema.require(found)
        except SchemaMismatch:
            self._drop()
            raise

    async def release(self) -> None:
        """Let go for good, at once; with a connection that is lost the lock was, too."""
        with suppress(DatabaseError):
            await self._ask("SELECT pg_advisory_unlock_all()", seconds=RELEASE_SECONDS)
            await self._tell()
        self._drop()
        self._threads.close(0)

    async def _tell(self) -> None:
        if self._channel is not None:
            await self._ask("SELECT pg_notify(%s, %s)", self._channel, self._origin)

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Keep a taken lock while the body runs, then release it.

        Raises LockLost, and cancels the body, if the connection breaks and another session gets the
        lock before we have it again.
        """
        limit = asyncio.timeout(None)
        keeper: asyncio.Task[None] | None = None
        try:
            async with limit:
                keeper = asyncio.create_task(self._keep(limit))
                yield
        except TimeoutError as error:
            if limit.expired():
                raise LockLost("the connection broke, and another process went on") from error
            raise
        finally:
            if keeper is not None:
                keeper.cancel()
                await asyncio.wait([keeper])
            await self.release()

    async def _keep(self, limit: asyncio.Timeout) -> None:
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            with suppress(DatabaseError):  # as long as nobody is answered, nobody gets the lock
                if not await self._is_ours():
                    limit.reschedule(asyncio.get_running_loop().time())
                    return

    async def _is_ours(self) -> bool:
        try:
            await self.check()
        except DatabaseError:
            try:
                return await self.take()
            except SchemaMismatch:
                return False
        return True

    async def _ask(self, statement: str, *values: Any, seconds: float = ANSWER_SECONDS) -> Any:
        """The one value of an answer. Whatever goes wrong, the connection is given up."""
        if self._connection is None:
            raise DatabaseUnavailable("there is no connection")
        try:
            async with asyncio.timeout(seconds):
                return await self._compute(_value, self._connection, statement, values)
        except TimeoutError as error:
            self._drop()
            raise DatabaseUnavailable(f"no answer in {seconds:.0f} s") from error
        except DatabaseError:
            self._drop()
            raise

    async def _compute(self, function: Any, *arguments: Any) -> Any:
        if self._threads.closed:
            raise DatabaseUnavailable("the lock has been released")
        return await self._threads.call(function, *arguments)

    def _drop(self) -> None:
        if self._connection is not None:
            _end(self._connection)
            self._connection = None


def is_held(session: Session, key: int) -> bool:
    """Whether any session has a lock on this database; keys are below 2 ** 32."""
    return bool(session.scalar(HELD, {"key": key}))


def _watch(cursor: Any) -> None:
    """Have the server look after this session; an old one has not all of the settings."""
    for setting in SESSION.items():
        cursor.execute(
            "SELECT set_config(name, %s, false) FROM pg_settings WHERE name = %s", setting[::-1]
        )


def _value(connection: Any, statement: str, values: tuple[Any, ...]) -> Any:
    with translated_errors(), connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchone()[0]


def _end(connection: Any) -> None:
    """Close it; first for the thread that may wait for an answer, or we would wait with it."""
    with suppress(Exception), socket.socket(fileno=os.dup(connection.fileno())) as wire:
        wire.shutdown(socket.SHUT_RDWR)
    connection.close()
