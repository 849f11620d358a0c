"""`/my/`: the releases of the artists that the logged-in account follows or watches."""

from typing import Any

from handlers.pages.account import OwnersHandler
from handlers.pages.choosing import ChoosingHandler
from handlers.pages.presenters import choice_buttons, my_artists, release_grid
from handlers.pages.presenters.condition import condition_of
from handlers.pages.presenters.formatting import day_words
from handlers.pages.presenters.my_artists import MyGridQuery
from handlers.pages.presenters.release_grid import ReleaseGrid
from server.catalog.zones import day_in
from server.errors import NoDataYet
from server.following.artist_list import ArtistList
from server.serving.cache import PayloadCache
from server.serving.feeds.feed import artist_url
from server.serving.pages import select
from server.storage.following import MyArtists
from server.sync.status import Status


class MyPageHandler(OwnersHandler, ChoosingHandler):
    """Shows the upcoming releases as a row, then the others with the filters of `/`."""

    def initialize(  # type: ignore[override]
        self, cache: PayloadCache, artist_list: ArtistList, **parts: Any
    ) -> None:
        """Take the releases and the list of artists from the routes."""
        super().initialize(**parts)
        self._cache, self._artist_list = cache, artist_list

    async def get(self) -> None:
        """Send the page.

        Raises InvalidParameters, UriTooLong, Overloaded or a DatabaseError.
        """
        visitor = self.owner
        done = self.chosen(visitor, self.pop_done())
        status = self._read_status()
        wall, row = await self._grids(visitor.account_id, status)
        state = await self._artist_list.state(visitor.account_id)
        choosing = {**await self.choosing(visitor), "stays": False}
        watched, ignored = choice_buttons.chosen(choosing["mine"] or MyArtists())
        self.send_page(
            "my.html",
            policy=self._pages.pictured,
            title=f"My artists: {wall.title}" if wall.title else "My artists",
            grid=wall,
            row=row,
            sorts=release_grid.SORTS,
            upcoming=release_grid.UPCOMING,
            today=wall.today.isoformat(),
            day_words=day_words,
            condition=condition_of(status),
            done=done,
            state=state,
            watched=watched,
            ignored=ignored,
            texts=my_artists,
            artist_url=artist_url,
            base=self._address.url,
            now=status.now,
            **choosing,
            **self.account(visitor, status),
        )

    head = get

    async def _grids(self, owner: str, status: Status) -> tuple[ReleaseGrid, ReleaseGrid | None]:
        """Return the wall that the query selects, and the row of upcoming releases if any."""
        since = status.freshness.watched_since
        query, search_text = release_grid.read(self.request.query, status.now, since, MyGridQuery)
        today = day_in(status.now, query.zone)
        try:
            snapshot = await self._my_releases.snapshot(owner, query.portion)
        except NoDataYet:
            return release_grid.empty(query, today, search_text), None
        listing = await self._my_releases.page(owner, snapshot, query)
        wall = release_grid.build(snapshot, query, today, listing, search_text)
        self._cache.omissions.log(query.path, wall.left_out)
        above = my_artists.upcoming_row(query)
        row = above and release_grid.build(
            snapshot, above, today, select(snapshot, above, today), search_text
        )
        return wall, row if row and row.cards else None
