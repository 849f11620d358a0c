"""One sync at a time: within this process, and among all processes on one database."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from server.database import advisory_lock
from server.database.advisory_lock import SessionLock
from server.database.executor import Database
from server.errors import SchemaMismatch
from server.request_errors import ServerOutdated, SyncRunning
from server.tasks import cancel_all

CHANNEL = "freshet_turn"  # of NOTIFY: a process has taken or released the sync lock


class SyncLock:
    """Runs the syncs of this process one after the other.

    `since` is when the running sync got the lock among all processes; None before that.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._running: asyncio.Task[Any] | None = None
        self._background: asyncio.Task[None] | None = None
        self.since: datetime | None = None

    @property
    def is_running(self) -> bool:
        """Whether a sync is under way."""
        started = self._background is not None and not self._background.done()
        return started or self._lock.locked()

    def spawn(self, sync: Coroutine[Any, Any, None]) -> None:
        """Start a sync in the background."""
        self._background = asyncio.create_task(sync)

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[None]:
        """Run the body as a sync, once no other sync of this process runs."""
        async with self._lock:
            self._running = asyncio.current_task()
            try:
                yield
            finally:
                self._running = self.since = None

    async def stop(self) -> None:
        """Cancel the running syncs, if any, and wait until they have ended."""
        await cancel_all(
            {task for task in (self._running, self._background) if task and not task.done()}
        )


async def take(database: Database, origin: str = "") -> SessionLock:
    """Take the sync lock among all processes; the caller holds and releases it.

    All processes are notified, with `origin`, the name of this one. Raises SyncRunning if another
    process has the lock, ServerOutdated if the schema belongs to another version, or another
    DatabaseError.
    """
    lock = SessionLock(database, advisory_lock.SYNC, CHANNEL, origin)
    try:
        taken = await lock.acquire()
    except SchemaMismatch as error:
        await lock.release()
        raise ServerOutdated from error
    except BaseException:
        await lock.release()
        raise
    if not taken:
        await lock.release()
        raise SyncRunning
    return lock
