"""`/api/changes/`: the journal, page by page."""

from collections.abc import Awaitable, Callable

from handlers.payloads import PayloadHandler
from server.catalog.payload import Payload
from server.catalog.position import ChangesQuery
from server.catalog.query import parse


class ChangesHandler(PayloadHandler):
    """Sends the page that is asked for, which `read` makes."""

    def initialize(self, read: Callable[[ChangesQuery], Awaitable[Payload]]) -> None:
        """Take the journal from the wiring."""
        self._read = read

    async def get(self) -> None:
        """Send it, or 304."""
        self.send(await self._read(parse(ChangesQuery, self.request.query)))

    head = get
