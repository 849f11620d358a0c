"""Watching and ignoring artists by hand, known to every process at once."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import datetime

import structlog

from server.database.admission import AdmittedDatabase
from server.storage import following
from server.storage.following import Choice

log = structlog.get_logger()


class Choices:
    """Stores choices; `changed` is called in this process, others are notified as from `origin`.

    Every method may raise Overloaded or a DatabaseError.
    """

    def __init__(
        self,
        database: AdmittedDatabase,
        changed: Callable[[], Awaitable[None]],
        now: Callable[[], datetime],
        origin: str = "",
    ) -> None:
        self._database, self._changed = database, changed
        self._now, self._origin = now, origin

    async def choose(
        self, owner: str | None, artists: Mapping[str, str | None], choice: Choice
    ) -> int:
        """Watch or ignore artists, given with their names if known; return how many changed."""
        count = await self._database.run(
            following.choose, owner, artists, choice, self._now(), self._origin
        )
        await self._tell("artists_chosen", owner, choice, count)
        return count

    async def unchoose(self, owner: str | None, artists: Collection[str], choice: Choice) -> int:
        """Take a choice of artists back; return how many had it."""
        count = await self._database.run(following.unchoose, owner, artists, choice, self._origin)
        await self._tell("artists_unchosen", owner, choice, count)
        return count

    async def _tell(self, event: str, owner: str | None, choice: Choice, count: int) -> None:
        if count:
            log.info(event, account_id=owner, choice=choice, artists=count)
        await self._changed()
