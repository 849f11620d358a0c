"""The start page, `/`: the new releases as a grid of covers, and the login."""

from typing import Any

from handlers.pages.choosing import ChoosingHandler
from handlers.pages.presenters import release_grid
from handlers.pages.presenters.condition import condition_of
from handlers.pages.presenters.formatting import day_words
from handlers.pages.presenters.release_grid import ReleaseGrid
from server.catalog.zones import day_in
from server.errors import NoDataYet
from server.serving.cache import PayloadCache
from server.sync.status import Status

DONE = {
    "logged-out": "You are logged out.",
    "disconnected": "Disconnected: your tokens and your account’s data have been deleted.",
}


class HomeHandler(ChoosingHandler):
    """Public. Reads the database for sessions, and for what is not in memory: past days, older."""

    def initialize(self, cache: PayloadCache, **account: Any) -> None:  # type: ignore[override]
        """Take the cache from the routes."""
        super().initialize(**account)
        self._cache = cache

    async def get(self) -> None:
        """Send the page."""
        done = self.pop_done() or ""
        visitor = await self.visitor()
        status = self._read_status()  # after the session, so that the login shown is not older
        shown = await self._grid(status)
        self.send_page(
            "home.html",
            policy=self._pages.pictured,
            title=shown.title or "Freshet",
            grid=shown,
            sorts=release_grid.SORTS,
            upcoming=release_grid.UPCOMING,
            today=shown.today.isoformat(),
            day_words=day_words,
            freshness=status.freshness,
            condition=condition_of(status),
            done=self.chosen(visitor, done) if visitor else DONE.get(done),
            **await self.choosing(visitor),
            **self.account(visitor, status),
        )

    head = get

    async def _grid(self, status: Status) -> ReleaseGrid:
        """Return the grid that the query selects, or an empty one before the first sync."""
        since = status.freshness.watched_since
        query, search_text = release_grid.read(self.request.query, status.now, since)
        today = day_in(status.now, query.zone)
        try:
            snapshot = await self._cache.snapshot_for(query.portion)
            listing = await self._cache.select(snapshot, query)
        except NoDataYet:
            return release_grid.empty(query, today, search_text)
        shown = release_grid.build(snapshot, query, today, listing, search_text)
        self._cache.omissions.log(query.path, shown.left_out)
        return shown
