"""Pages of everything kept: from memory as far as it reaches, else read from the database."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from datetime import date, datetime
from typing import TypeVar

from server.catalog.query import ReleaseQuery
from server.catalog.reading import Found, Position
from server.catalog.snapshot import Snapshot
from server.catalog.zones import day_in
from server.database.admission import Admission
from server.errors import DatabaseError
from server.request_errors import Overloaded
from server.serving import pages
from server.serving.cursors import UNREACHABLE, Cursors
from server.serving.pages import BeyondMemory, Listing, Start, size_of

MAX_CONCURRENT = 2  # pages that are read at a time; others wait
LoadPage = Callable[
    [ReleaseQuery, Position | None, date, int, Collection[str] | None], Awaitable[Found | None]
]
T = TypeVar("T")


class Readings:
    """Finds where pages begin, and reads them; `load` reads a page from the database.

    With `among`, only releases of these artists are read, by Spotify's id.
    """

    def __init__(
        self, load: LoadPage, cursors: Cursors, among: Collection[str] | None = None
    ) -> None:
        self._load, self.cursors, self._among = load, cursors, among
        self._turn = asyncio.Semaphore(MAX_CONCURRENT)

    def of_owner(self, owner: str, among: Collection[str]) -> "Readings":
        """Return the readings of an owner's artists; its cursors are good for this owner only."""
        theirs = Readings(self._load, self.cursors.of_owner(owner), among)
        theirs._turn = self._turn
        return theirs

    def start(self, query: ReleaseQuery, now: datetime) -> Start:
        """Return where the page of a query begins. Raises InvalidParameters for a bad cursor."""
        return Start(self.cursors.read(query, day_in(now, query.zone)))

    async def page(
        self,
        query: ReleaseQuery,
        now: datetime,
        build: Callable[[Start], Awaitable[T]],
        *,
        in_memory: bool = True,
    ) -> T:
        """Return what `build` makes of a page: of memory, or else of a page that has been read.

        `build` raises BeyondMemory if the page is not in memory; without `in_memory` that is known
        before. Raises InvalidParameters for a bad cursor, or a DatabaseError.
        """
        start = self.start(query, now)
        beyond = BeyondMemory()
        if in_memory:
            try:
                return await build(start)
            except BeyondMemory as raised:
                beyond = raised
        return await build(await self._read(query, start, now, beyond))

    async def select(
        self, snapshot: Snapshot, query: ReleaseQuery, now: datetime, admission: Admission
    ) -> Listing:
        """Return the page that a query selects, and what could not be selected.

        Without the database, a list that does not begin in memory is that of memory. Raises
        InvalidParameters for a bad cursor, and for a page with a cursor Overloaded or a
        DatabaseError.
        """
        today, cursor = day_in(now, query.zone), self.cursors.make

        async def build(start: Start) -> Listing:
            return pages.select(snapshot, query, today, start, cursor)

        try:
            with admission.enter():
                return await self.page(query, now, build)
        except (DatabaseError, Overloaded):
            if query.cursor is not None:
                raise
            return pages.select(snapshot, query, today)

    async def _read(
        self, query: ReleaseQuery, start: Start, now: datetime, beyond: BeyondMemory
    ) -> Start:
        """Read a page; one whose beginning is in memory may be short without the database."""
        today = day_in(now, query.zone)
        try:
            async with self._turn:
                found = await self._load(query, start.position, today, size_of(query), self._among)
        except DatabaseError:
            if not beyond.short:
                raise
            return Start(start.position, short=True)
        if found is None:
            raise self.cursors.refused(query, UNREACHABLE)
        return Start(found.position, found.page)
