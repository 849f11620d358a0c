"""Watching and ignoring artists by hand, known to every process at once."""

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from server.database.admission import AdmittedDatabase
from server.following import import_parser
from server.following.import_parser import ImportedArtists, NotUnderstood
from server.request_errors import ImportRefused, Overloaded
from server.storage import following
from server.storage.following import Choice

EMPTY = "The list is empty: it needs a line for each artist."
MOST_FAULTS = 1000  # lines that an answer lists
MOST_IMPORTS = 8  # at a time, because their bodies are long

log = structlog.get_logger()


@dataclass(frozen=True)
class Imported:
    """What an import brought: artists named, newly watched, and lines that were not understood.

    `not_understood` has the first MOST_FAULTS of `lines_not_understood`.
    """

    artists: int
    newly_watched: int
    lines_not_understood: int
    not_understood: Sequence[NotUnderstood]


class Choices:
    """Stores choices; `changed` is called in this process, others are notified as from `origin`.

    `compute` runs a function off the event loop. Every method may raise Overloaded or a
    DatabaseError.
    """

    def __init__(
        self,
        database: AdmittedDatabase,
        changed: Callable[[], Awaitable[None]],
        compute: Callable[..., Awaitable[Any]],
        now: Callable[[], datetime],
        origin: str = "",
    ) -> None:
        self._database, self._changed, self._compute = database, changed, compute
        self._now, self._origin = now, origin
        self._importing = 0

    @contextmanager
    def importing(self) -> Iterator[None]:
        """Count an import while its body is in memory. Raises Overloaded if there are too many."""
        if self._importing >= MOST_IMPORTS:
            raise Overloaded
        self._importing += 1
        try:
            yield
        finally:
            self._importing -= 1

    async def import_artists(self, owner: str | None, content: bytes) -> Imported:
        """Watch the artists that a text or a table names.

        Raises ImportRefused or TooManyArtists.
        """
        if not content.strip():
            raise ImportRefused(EMPTY)
        found: ImportedArtists = await self._compute(import_parser.parse, content)
        count = await self.choose(owner, found.artists, "watched") if found.artists else 0
        faults = found.faults
        return Imported(len(found.artists), count, len(faults), faults[:MOST_FAULTS])

    async def choose(
        self, owner: str | None, artists: Mapping[str, str | None], choice: Choice
    ) -> int:
        """Watch or ignore artists, given with their names if known; return how many changed.

        Raises TooManyArtists.
        """
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
