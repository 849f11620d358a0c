"""`/artists/{id}/`: an artist with all its releases that are kept."""

from typing import Any

from handlers.api.releases import Load
from handlers.pages.account import AccountHandler
from handlers.pages.presenters.cards import ArtistCard
from server.serving.cache import PayloadCache
from server.sync.upstream_status import UpstreamStatus


class ArtistHandler(AccountHandler):
    """Shows what `/api/artists/{id}/` answers, from the same shelf."""

    def initialize(  # type: ignore[override]
        self,
        cache: PayloadCache,
        upstream_status: UpstreamStatus,
        load: Load,
        **login: Any,
    ) -> None:
        """Take the cache from the wiring; `load` reads an artist from the database."""
        super().initialize(**login)
        self._cache, self._upstream_status, self._load = cache, upstream_status, load

    async def get(self, identity: str) -> None:
        """Send the page, or one that says that there is no such artist."""
        ready = await self._cache.single(
            f"/api/artists/{identity}", "identity", lambda: self._load(identity)
        )
        artist = ArtistCard.read(ready.body, self._upstream_status.now().date())
        self._cache.omissions.log("/artists/{spotify_id}/", artist.left_out)
        self.send_page(
            "artist.html",
            policy=self._pages.pictured,
            title=artist.name,
            artist=artist,
            **self.account(await self.visitor()),
        )

    head = get
