"""How far apart syncs have to be, so that the calls of a day suffice for the whole day."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from server.database import Database
from server.spotify import quota
from server.spotify.ledger import Allowance, room_at, spacing
from server.spotify.paging import ENDPOINTS, SourceName

BUSY = timedelta(hours=1)  # how long to wait where a sync would never fit


@dataclass(frozen=True)
class Outlook:
    """Seconds that syncs have to lie apart, and seconds until there is room for the next one."""

    spacing: float
    room_in: float


class Pace:
    """Looks into the ledger of the bucket that a source belongs to."""

    def __init__(
        self,
        database: Database,
        allowance: Allowance,
        now: Callable[[], datetime],
        *,
        max_releases: int,
        markets: Sequence[str],
    ) -> None:
        self._database = database
        self._allowance = allowance
        self._now = now
        self._max_releases = max_releases
        self._markets = max(len(markets), 1)

    def most_pages(self, source: SourceName) -> int:
        """The calls that a sweep of a source takes if its lists are as long as is wanted."""
        lists = self._markets if source == "search" else 1
        return lists * math.ceil(self._max_releases / ENDPOINTS[source].limit)

    async def look(self, source: SourceName, pages: int = 0) -> Outlook:
        """What the ledger allows for sweeps of `pages` calls. Raises DatabaseError."""
        cost, now = pages or self.most_pages(source), self._now()
        book = await self._database.run(quota.read, ENDPOINTS[source].path, now)
        most = self._allowance.most("background")
        room = room_at(book.windows, now, cost, most) or now + BUSY
        apart = spacing(book.windows, now, cost, most)
        return Outlook(apart.total_seconds(), (room - now).total_seconds())
