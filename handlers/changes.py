"""`GET /api/changes/`: what came, changed, left the list and was deleted, in order."""

import orjson

from handlers.payloads import PayloadHandler
from server.catalog import freshness, journal, payload, query
from server.catalog.position import ChangesQuery
from server.catalog.snapshot import TIMES
from server.database import Database


class ChangesHandler(PayloadHandler):
    """Reads the journal from the database at each request."""

    def initialize(self, database: Database, root: str) -> None:  # type: ignore[override]
        """Take the database from the wiring."""
        super().initialize(root)
        self._database = database

    async def get(self) -> None:
        """Send a piece of the journal, and where the next one begins."""
        asked = query.parse(ChangesQuery, self.request.query)
        dated = await self._database.run(freshness.read)  # first: it must not be newer than these
        items = await self._database.run(journal.read, asked.after, asked.limit)
        following = items[-1]["seq"] if items else asked.after
        body = orjson.dumps({"items": items, "next_after": following}, option=TIMES)
        whole = payload.unkept(body, dated, payload.links(self._root))
        self.send(await self._database.compute(whole.coded, self.coding))

    head = get
