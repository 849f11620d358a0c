"""`GET /api/changes/`: what came, changed, left the list and was deleted, in order."""

from typing import Any

import orjson

from handlers.api.releases import PayloadHandler
from server.catalog import query
from server.catalog.change_event import BEGIN_AGAIN, ChangesQuery, Piece
from server.database.admission import AdmittedDatabase
from server.request_errors import JournalOutOfReach
from server.serving import payload
from server.serving.payload import Coding, Representation
from server.storage import changes, freshness


class ChangesHandler(PayloadHandler):
    """Reads the journal from the database at each request."""

    def initialize(self, database: AdmittedDatabase, root: str) -> None:  # type: ignore[override]
        """Take the database from the wiring."""
        super().initialize(root)
        self._database = database

    async def get(self) -> None:
        """Send a piece of the journal, and where the next one begins. Raises JournalOutOfReach."""
        asked = query.parse(ChangesQuery, self.request.query)
        self.send(await self._database.run(self._read, asked, self.coding))

    head = get

    def _read(self, session: Any, asked: ChangesQuery, coding: Coding) -> Representation:
        """Read and write it in one go, so that what was read waits in memory for nothing."""
        dated = freshness.read(session)  # first: it must not be newer than these
        piece = changes.read(session, asked.after or 0, asked.limit)
        if asked.after is not None and not piece.reach.holds(asked.after):
            raise JournalOutOfReach(BEGIN_AGAIN, piece.reach.members)
        body = _written(piece, piece.reach.floor if asked.after is None else asked.after)
        return payload.unkept(body, dated, payload.links(self._root)).coded(coding)


def _written(piece: Piece, after: int) -> bytes:
    """A piece that begins after a place, as `schemas.ChangesPage`."""
    following = piece.entries[-1].seq if piece.entries else after
    content = {
        "items": [orjson.Fragment(entry.json) for entry in piece.entries],
        "next_after": following,
        "up_to_date": following >= piece.reach.newest,
    }
    return orjson.dumps(content)
