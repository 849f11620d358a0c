"""`GET /api/changes/`: the journal of changes to releases, in order."""

from typing import Any

import orjson

from handlers.api.releases import PayloadHandler
from server.catalog import query
from server.catalog.journal import BEGIN_AGAIN, ChangesQuery, JournalEntry, JournalPage
from server.database.admission import AdmittedDatabase
from server.request_errors import JournalOutOfReach
from server.serving import payload
from server.serving.payload import Coding, Representation
from server.storage import changes, freshness, lookups


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
        freshness.as_of_one_moment(session)
        after = parameters.after
        page = changes.read(session, after.seq if after else 0, parameters.most)
        if after is not None and not page.follows(after):
            raise JournalOutOfReach(BEGIN_AGAIN, page.reach.members)
        stored = None
        if "stored" in parameters.include:
            stored = lookups.read_albums(session, {entry.album for entry in page.entries})
        dated, links = freshness.read(session), payload.links(self._root)
        return payload.uncacheable(_to_json(page, stored), dated, links).encoded(coding)


def _to_json(page: JournalPage, stored: dict[str, bytes] | None) -> bytes:
    """Return a page as JSON (see `change_schemas.ChangesPage`).

    `stored` has the JSON of releases by Spotify's id, if the entries are to have it.
    """
    place = page.entries[-1].place if page.entries else page.reach.place
    content = {
        "items": [orjson.Fragment(_item(entry, stored)) for entry in page.entries],
        "place": str(place),
        "next_after": place.seq,
        "up_to_date": place.seq >= page.reach.newest,
    }
    return orjson.dumps(content)


def _item(entry: JournalEntry, stored: dict[str, bytes] | None) -> bytes:
    if stored is None:
        return entry.json
    return entry.json[:-1] + b',"stored":' + stored.get(entry.album, b"null") + b"}"
