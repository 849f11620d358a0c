"""An owner's own artists: their releases and feeds, and which artists they are."""

from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

from tornado.web import stream_request_body

from handlers.access import OwnerHandler
from handlers.api.releases import PayloadHandler
from server.catalog.my_queries import FollowingQuery
from server.catalog.query import ReleaseQuery, parse
from server.following.artist_list import ArtistList
from server.following.choices import Choices
from server.following.import_parser import MOST_BYTES
from server.following.my_releases import MyReleases
from server.request_errors import ImportRefused
from server.storage.following import Choice


class MyListHandler(OwnerHandler, PayloadHandler):
    """Sends a list or a feed of the releases of the owner's artists."""

    def initialize(  # type: ignore[override]
        self, my_releases: MyReleases, kind: type[ReleaseQuery], **access: Any
    ) -> None:
        """Take the releases from the routes."""
        super().initialize(**access)
        self._my_releases, self._kind = my_releases, kind
        self.by_query = kind.path.startswith("/feeds/")

    async def get(self) -> None:
        """Send the list.

        Raises InvalidParameters, UriTooLong, NoDataYet, Overloaded or a DatabaseError.
        """
        query_string = self.request.query
        self.send(
            await self._my_releases.respond(self.owner, self._kind, query_string, self.coding)
        )

    head = get


class FollowingHandler(OwnerHandler):
    """Lists the owner's artists: followed, watched or ignored, and when each is checked."""

    def initialize(self, artist_list: ArtistList, **access: Any) -> None:  # type: ignore[override]
        """Take the artists from the routes."""
        super().initialize(**access)
        self._artist_list = artist_list

    async def get(self) -> None:
        """Send a page of the list. Raises InvalidParameters, Overloaded or a DatabaseError."""
        query = parse(FollowingQuery, self.request.query)
        self.write_json(await self._artist_list.page(self.owner, query))

    head = get


@stream_request_body
class ImportHandler(OwnerHandler):
    """Watches the artists that a text or a table (CSV) names.

    The body may be longer than those of other routes, so it is only read for owners.
    """

    def initialize(self, choices: Choices, **access: Any) -> None:  # type: ignore[override]
        """Take the choices from the routes."""
        super().initialize(**access)
        self._choices, self._received, self._place = choices, bytearray(), ExitStack()

    async def prepare(self) -> None:
        """Find out who sent the request, before its body is read.

        Raises what `caller` raises, ImportRefused, or Overloaded while too many others arrive.
        """
        await super().prepare()
        length = self.request.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > MOST_BYTES:
            raise ImportRefused(f"The body is larger than {MOST_BYTES} bytes.")
        self._place.enter_context(self._choices.importing())
        connection: Any = self.request.connection
        connection.set_max_body_size(MOST_BYTES)

    def on_finish(self) -> None:
        """Let another import in."""
        self._place.close()

    def on_connection_close(self) -> None:
        """Let another import in; Tornado calls this again if `prepare` was still under way."""
        super().on_connection_close()
        self._place.close()

    def data_received(self, chunk: bytes) -> None:
        """Keep a part of the body."""
        self._received += chunk

    async def post(self) -> None:
        """Watch the artists, and say which lines were not understood.

        Raises ImportRefused, TooManyArtists, Overloaded or a DatabaseError.
        """
        content = bytes(self._received)
        self.write_json(asdict(await self._choices.import_artists(self.owner, content)))


class ChoiceHandler(OwnerHandler):
    """Watches or ignores an artist, or takes that back; repeating it changes nothing."""

    def initialize(  # type: ignore[override]
        self, choices: Choices, choice: Choice, **access: Any
    ) -> None:
        """Take the choices from the routes."""
        super().initialize(**access)
        self._choices, self._choice = choices, choice

    async def put(self, artist: str) -> None:
        """Choose the artist. Raises TooManyArtists, Overloaded or a DatabaseError."""
        await self._choices.choose(self.owner, {artist: None}, self._choice)
        self.set_status(204)

    async def delete(self, artist: str) -> None:
        """Take the choice back. Raises Overloaded or a DatabaseError."""
        await self._choices.unchoose(self.owner, [artist], self._choice)
        self.set_status(204)
