"""`/api/sync/`: a sync now, for who is logged in."""

from typing import Any

from handlers.base import BaseHandler
from handlers.pages.auth import AuthHandler
from handlers.pages.base import Pages
from server.login.service import LoginService
from server.request_errors import LoginRequired
from server.sync.syncer import Syncer


class SyncHandler(AuthHandler):
    """Only for pages of ours in a browser that has a session."""

    def initialize(  # type: ignore[override]
        self, pages: Pages, login_service: LoginService, syncer: Syncer
    ) -> None:
        """Take the syncer from the wiring."""
        super().initialize(pages, login_service)
        self._syncer = syncer

    async def post(self) -> None:
        """Start it; what comes of it is told by its event, the status and the changes."""
        self.refuse_foreign_posts()
        if await self._login_service.visitor(self.session_token) is None:
            raise LoginRequired
        await self._syncer.begin()
        self.write_json({"status": "started"}, 202)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """It is asked by scripts: problems, not pages; a 401 says where a login begins."""
        if "exc_info" in kwargs and isinstance(kwargs["exc_info"][1], LoginRequired):
            self.set_header("WWW-Authenticate", self._challenge())
        BaseHandler.write_error(self, status_code, **kwargs)

    def _challenge(self) -> str:
        """What RFC 9110 section 15.5.2 asks for; no browser opens a window of its own at it.

        Source of the scheme: draft-broyer-http-cookie-auth-00.
        """
        login, cookie = f"{self._pages.root}/auth/login/", self._pages.cookie("session")
        return f'Cookie realm="Freshet", form-action="{login}", cookie-name="{cookie}"'
