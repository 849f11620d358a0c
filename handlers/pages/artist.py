"""The page of an artist, `/artists/{id}/`, with all stored releases."""

from typing import Any

from handlers.api.releases import Load
from handlers.pages.choosing import ChoosingHandler
from handlers.pages.presenters import grid_links
from handlers.pages.presenters.cards import ArtistCard
from handlers.pages.presenters.grid_links import ReleaseGridQuery
from server.serving.cache import PayloadCache


class ArtistHandler(ChoosingHandler):
    """Shows the response of `/api/artists/{id}/`, which comes from the same cache."""

    def initialize(  # type: ignore[override]
        self, cache: PayloadCache, load: Load, **account: Any
    ) -> None:
        """Receive the parts this page needs; `load` reads an artist from the database."""
        super().initialize(**account)
        self._cache, self._load = cache, load

    async def get(self, identity: str) -> None:
        """Send the page. Raises NotFound for an unknown artist."""
        ready = await self._cache.get_object(
            f"/api/artists/{identity}", "identity", lambda: self._load(identity)
        )
        done = self.pop_done()
        visitor, status = await self.visitor(), self._read_status()
        artist = ArtistCard.read(ready.body, status.now.date())
        self._cache.omissions.log("/artists/{spotify_id}/", artist.left_out)
        self.send_page(
            "artist.html",
            policy=self._pages.pictured,
            title=artist.name,
            artist=artist,
            done=self.chosen(visitor, done),
            **await self.choosing(visitor),
            feeds=tuple(grid_links.feeds(ReleaseGridQuery(artist=(artist.spotify_id,)))),
            **self.account(visitor, status),
        )

    head = get
