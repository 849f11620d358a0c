"""Which of all processes on one database leads: it alone syncs by the clock."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import wraps

import structlog

from server.database.advisory_lock import CHECK_SECONDS, SessionLock
from server.errors import DatabaseError
from server.tasks import attempt

TRY_SECONDS = 2.0  # how often one that does not lead tries to
LEASE_SECONDS = 10.0  # a leader not confirmed for so long stands down by itself, before it is cut

log = structlog.get_logger()


class Leadership:
    """Led by whoever has the lock, until its connection is lost or the schema is a newer version's.

    `begin` is awaited each time before this process leads; a DatabaseError of it is for it to tell.
    """

    def __init__(
        self,
        lock: SessionLock,
        begin: Callable[[], Awaitable[None]],
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lock = lock
        self._begin = begin
        self._timer = timer
        self._confirmed_at: float | None = None

    @property
    def leads(self) -> bool:
        """Whether this process leads; not even for a moment after it was frozen."""
        if self._confirmed_at is None:
            return False
        return self._timer() - self._confirmed_at < LEASE_SECONDS

    def only(self, work: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        """The same work, but nothing while another process leads."""

        @wraps(work)
        async def work_of_a_leader() -> None:
            if self.leads:
                await work()

        return work_of_a_leader

    async def run(self) -> None:
        """Lead whenever nobody else does, until cancelled."""
        try:
            while True:
                await attempt(self._try)
                await asyncio.sleep(TRY_SECONDS)
        finally:
            await self._lock.release()

    async def _try(self) -> None:
        with suppress(DatabaseError):  # others log that it is away
            if await self._lock.take():
                await self._lead()

    async def _lead(self) -> None:
        reason = "this process ends"
        await self._begin()
        try:
            while True:
                asked_at = self._timer()
                await self._lock.check_schema()
                if self._confirmed_at is None:
                    log.info("leading")
                self._confirmed_at = asked_at
                await asyncio.sleep(CHECK_SECONDS)
        except DatabaseError as error:
            reason = str(error)
        finally:
            if self._confirmed_at is not None:
                log.info("leading_ended", reason=reason)
            self._confirmed_at = None
