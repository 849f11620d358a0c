"""`GET /api/changes/`: the journal of releases added, updated, gone and deleted, in order."""

from typing import Any

import orjson

from handlers.api.releases import PayloadHandler
from server.catalog import query
from server.catalog.journal import BEGIN_AGAIN, ChangesQuery, JournalPage
from server.database.admission import AdmittedDatabase
from server.request_errors import JournalOutOfReach
from server.serving import payload
from server.serving.payload import Coding, Representation
from server.storage import changes, freshness


class ChangesHandler(PayloadHandler):
    """Reads the journal from the database for each request."""

    def initialize(self, database: AdmittedDatabase, root: str) -> None:  # type: ignore[override]
        """Take the database from the routes."""
        super().initialize(root)
        self._database = database

    async def get(self) -> None:
        """Send a page of the journal.

        Raises InvalidParameters, JournalOutOfReach, Overloaded or a DatabaseError.
        """
        parameters = query.parse(ChangesQuery, self.request.query)
        self.send(await self._database.run(self._read, parameters, self.coding))

    head = get

    def _read(self, session: Any, parameters: ChangesQuery, coding: Coding) -> Representation:
        """Read and serialise a page in the same thread, so that its rows are freed at once."""
        dated = freshness.read(session)  # first, so that it is not newer than the entries
        after = parameters.after
        page = changes.read(session, after or 0, parameters.limit)
        if after is not None and not page.reach.holds(after):
            raise JournalOutOfReach(BEGIN_AGAIN, page.reach.members)
        body = _to_json(page, page.reach.floor if after is None else after)
        return payload.uncacheable(body, dated, payload.links(self._root)).encoded(coding)


def _to_json(page: JournalPage, after: int) -> bytes:
    """Return the entries after position `after` as JSON (see `change_schemas.ChangesPage`)."""
    following = page.entries[-1].seq if page.entries else after
    content = {
        "items": [orjson.Fragment(entry.json) for entry in page.entries],
        "next_after": following,
        "up_to_date": following >= page.reach.newest,
    }
    return orjson.dumps(content)
