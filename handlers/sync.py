"""`/api/sync/`: a sync now, for who is logged in."""

from handlers.auth import AuthHandler
from handlers.base import BaseHandler
from handlers.pages import Pages
from server.catalog.sync import Syncer
from server.errors import Paused
from server.login.desk import LoginDesk
from server.refusals import LoginRequired, SyncPaused


class SyncHandler(AuthHandler):
    """Only for pages of ours in a browser that has a session."""

    write_error = BaseHandler.write_error  # it is asked by scripts: problems, not pages

    def initialize(  # type: ignore[override]
        self, pages: Pages, desk: LoginDesk, syncer: Syncer
    ) -> None:
        """Take the syncer from the wiring."""
        super().initialize(pages, desk)
        self._syncer = syncer

    async def post(self) -> None:
        """Start it; what comes of it is told by its event, the status and the changes."""
        self.refuse_foreign_posts()
        if await self._desk.visitor(self.session_token) is None:
            raise LoginRequired
        try:
            await self._syncer.begin()
        except Paused as pause:
            raise SyncPaused(pause) from pause
        self.write_json({"status": "started"}, 202)
