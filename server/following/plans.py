"""The wanted artists and when each is checked, as the leading process holds them in memory.

Both ways of checking go by the same plans, so that these are read from the database once.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from server.database.executor import Database
from server.spotify.waiting import has_passed
from server.storage import artist_checks, following
from server.storage.artist_checks import Scheduled

RELOAD_AFTER = timedelta(minutes=5)  # even without notice that an owner's artists have changed


class Plans:
    """The wanted artists with their `names`, None if unknown, and `schedules`.

    `allowed` are the accounts whose artists are wanted, empty for all. `last_check` and
    `last_search` are the times of the last ones of all artists. `version` counts
    how often the plans were read.
    """

    def __init__(
        self, database: Database, allowed: Collection[str], now: Callable[[], datetime]
    ) -> None:
        self._database, self._allowed, self._now = database, allowed, now
        self.names: Mapping[str, str | None] = {}
        self.schedules: dict[str, Scheduled] = {}
        self.last_check: datetime | None = None
        self.last_search: datetime | None = None
        self.first_ones = False  # whether some artist was never checked
        self.version = 0
        self._loaded_at: datetime | None = None
        self._taken: dict[str, Scheduled] = {}  # since the last read began
        self._reading = asyncio.Lock()

    def wake(self) -> None:
        """Let the plans be read again, because an owner's artists have changed."""
        self._loaded_at = None

    async def refresh(self) -> None:
        """Read the plans if it is time to. Raises a DatabaseError."""
        async with self._reading:
            while has_passed(self._loaded_at, RELOAD_AFTER, self._now()):
                await self._read()

    def take(self, after: Scheduled) -> None:
        """Take note of an artist's schedule after a check."""
        before = self.schedules.get(after.artist)
        if before is None:
            return
        self._taken[after.artist] = self.schedules[after.artist] = after
        if after.checked_at != before.checked_at:
            self.last_check = after.checked_at
        if after.searched_at != before.searched_at:
            self.last_search = after.searched_at
        if before.checked_at is None:
            self._look_for_first_ones()

    async def _read(self) -> None:
        now = self._now()
        # Set before the read, so that a call of `wake` meanwhile leads to another one.
        self._loaded_at, self._taken = now, {}
        try:
            names, schedules = await self._database.run(_read_plans, self._allowed, now)
        except BaseException:
            self._loaded_at = None
            raise
        taken = {artist: each for artist, each in self._taken.items() if artist in schedules}
        self.names, self.schedules = names, schedules | taken
        every = self.schedules.values()
        self.last_check = max((each.checked_at for each in every if each.checked_at), default=None)
        self.last_search = max(
            (each.searched_at for each in every if each.searched_at), default=None
        )
        self._look_for_first_ones()
        self.version += 1

    def _look_for_first_ones(self) -> None:
        waiting = (each for each in self.schedules.values() if each.checked_at is None)
        self.first_ones = any(not each.failures for each in waiting)


def _read_plans(
    session: Any, allowed: Collection[str], now: datetime
) -> tuple[dict[str, str | None], dict[str, Scheduled]]:
    names = following.wanted(session, allowed)
    return names, artist_checks.plan_checks(session, list(names), now)
