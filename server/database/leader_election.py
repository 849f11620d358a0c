"""Leader election among all processes on one database; only the leader syncs on schedule."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import wraps

import structlog

from server.database.advisory_lock import CHECK_SECONDS, SessionLock
from server.errors import DatabaseError
from server.tasks import attempt

TRY_SECONDS = 2.0  # between attempts of a process that does not lead
LEASE_SECONDS = 10.0  # an unconfirmed leader steps down after this, before its session is ended

log = structlog.get_logger()


class Leadership:
    """Holds the lock as long as the connection lasts and the schema is this version's.

    `on_elected` is awaited each time before this process leads; it must handle a DatabaseError
    itself.
    """

    def __init__(
        self,
        lock: SessionLock,
        on_elected: Callable[[], Awaitable[None]],
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lock = lock
        self._on_elected = on_elected
        self._timer = timer
        self._confirmed_at: float | None = None

    @property
    def leads(self) -> bool:
        """Whether this process leads; False as soon as the lease has expired, as after a freeze."""
        if self._confirmed_at is None:
            return False
        return self._timer() - self._confirmed_at < LEASE_SECONDS

    def only(self, work: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        """Return a function that does the work if this process leads, and otherwise nothing."""

        @wraps(work)
        async def work_of_a_leader() -> None:
            if self.leads:
                await work()

        return work_of_a_leader

    async def run(self) -> None:
        """Try to lead whenever no other process does, until cancelled."""
        try:
            while True:
                await attempt(self._try)
                await asyncio.sleep(TRY_SECONDS)
        finally:
            await self._lock.release()

    async def _try(self) -> None:
        with suppress(DatabaseError):  # the supervisor logs it
            if await self._lock.acquire():
                await self._lead()

    async def _lead(self) -> None:
        reason = "this process ends"
        await self._on_elected()
        try:
            while True:
                checked_at = self._timer()
                await self._lock.check_schema()
                if self._confirmed_at is None:
                    log.info("leading")
                self._confirmed_at = checked_at
                await asyncio.sleep(CHECK_SECONDS)
        except DatabaseError as error:
            reason = str(error)
        finally:
            if self._confirmed_at is not None:
                log.info("leading_ended", reason=reason)
            self._confirmed_at = None
