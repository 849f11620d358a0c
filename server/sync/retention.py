"""The timer service that deletes what may no longer be kept.

Its statements are in `server.storage.retention`.
"""

from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from datetime import datetime, timedelta

import structlog

from server.database.executor import Database
from server.errors import DatabaseError
from server.spotify.limits import usage_store
from server.storage import retention, sync_runs
from server.storage.retention import Deleted
from server.tasks import attempt

log = structlog.get_logger()


class Retention:
    """Deletes in small batches; `keep` is how long an album stays after it was last seen.

    Nothing is deleted unless there were syncs on two days in a row, as the clock may be wrong; and
    nothing of the catalogue unless they were complete: an album that no sync could see is not an
    album that is gone. `announce` is awaited when albums or artists
    were deleted; `origin` names this process to the others. `allowed` are the accounts whose
    artists are wanted, empty for all.
    """

    def __init__(
        self,
        database: Database,
        announce: Callable[[], Awaitable[None]],
        keep: timedelta,
        now: Callable[[], datetime],
        origin: str = "",
        allowed: Collection[str] = (),
    ) -> None:
        self._database = database
        self._announce = announce
        self._keep = keep
        self._now = now
        self._origin = origin
        self._allowed = allowed

    async def tick(self) -> None:
        """Delete what is due; a database that cannot be reached is tried again next time."""
        with suppress(DatabaseError):
            await self.clear()

    async def clear(self) -> Deleted:
        """Delete everything that is due, and return the numbers of rows. Raises DatabaseError."""
        if await self._database.run(sync_runs.is_steady, self._now()):
            await self._database.run(usage_store.prune, self._now())
        total, more = Deleted(), True
        while more:
            batch = await self._database.run(
                retention.delete_batch, self._now(), self._keep, self._origin, self._allowed
            )
            total, more = total + batch, batch.more
        if total.albums or total.artists:
            log.info("retention_cleared", albums=total.albums, artists=total.artists)
            await attempt(self._announce)
        return total
