"""`/`: the new releases as a wall of covers, and the login."""

from handlers.pages.condition import ConditionHandler
from handlers.pages.presenters import release_grid
from handlers.pages.presenters.formatting import day_words
from handlers.pages.presenters.release_grid import ReleaseGrid
from server.catalog.snapshot import freshness_of, known_days
from server.errors import NothingYet

DONE = {
    "logged-out": "You are logged out.",
    "disconnected": "Disconnected: your tokens and your account’s data are deleted.",
}


class HomeHandler(ConditionHandler):
    """Public; reads the database only for days gone by, and for a browser with a session."""

    async def get(self) -> None:
        """Send the page."""
        done = DONE.get(self.take_done() or "")
        shown, visitor = await self._grid(), await self.visitor()
        self.send_page(
            "home.html",
            policy=self._pages.pictured,
            title=f"“{shown.written}”" if shown.query.q else "Freshet",
            grid=shown,
            sorts=release_grid.SORTS,
            upcoming=release_grid.UPCOMING,
            today=self._upstream_status.now().date().isoformat(),
            day_words=day_words,
            freshness=freshness_of(self._cache.snapshot),
            condition=self.condition(),
            done=None if visitor else done,
            **self.account(visitor),
        )

    head = get

    async def _grid(self) -> ReleaseGrid:
        """What is asked for; an empty wall before the first sync."""
        today, since = known_days(self._cache.snapshot, self._upstream_status.now())
        asked, written = release_grid.read(self.request.query, today, since)
        try:
            shown = release_grid.build(await self._cache.shown(asked.at), asked, today, written)
        except NothingYet:
            return release_grid.empty(asked, today, written)
        self._cache.omissions.log(asked.path, shown.left_out)
        return shown
