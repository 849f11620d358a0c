"""One sync at a time: of this process, and of all processes on one database."""

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
from server.tasks import end

CHANNEL = "freshet_turn"  # of NOTIFY: a turn has been taken, or has ended


class SyncLock:
    """Lets one sync run after the other. `since` is when the one that has its turn began."""

    def __init__(self) -> None:
        self._one_at_a_time = asyncio.Lock()
        self._running: asyncio.Task[Any] | None = None
        self._begun: asyncio.Task[None] | None = None
        self.since: datetime | None = None

    @property
    def is_running(self) -> bool:
        """Whether a sync is under way."""
        begun = self._begun is not None and not self._begun.done()
        return begun or self._one_at_a_time.locked()

    def begin(self, sync: Coroutine[Any, Any, None]) -> None:
        """Start a sync that nobody waits for."""
        self._begun = asyncio.create_task(sync)

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Run the body as a sync, once no other runs."""
        async with self._one_at_a_time:
            self._running = asyncio.current_task()
            try:
                yield
            finally:
                self._running = self.since = None

    async def stop(self) -> None:
        """Cancel what runs, if anything does, and wait for its end."""
        await end({task for task in (self._running, self._begun) if task and not task.done()})


async def take(database: Database, origin: str = "") -> SessionLock:
    """Our turn, to be kept and released; all processes are told, `origin` being ours.

    Raises NotOurTurn, or a DatabaseError.
    """
    turn = SessionLock(database, advisory_lock.SYNC, CHANNEL, origin)
    try:
        taken = await turn.take()
    except SchemaMismatch as error:
        await turn.release()
        raise ServerOutdated from error
    except BaseException:
        await turn.release()
        raise
    if not taken:
        await turn.release()
        raise SyncRunning
    return turn
