"""`POST /api/sync/`: start a sync, for logged-in users."""

from typing import Any

from handlers.session import PublicAddress, SessionHandler
from server.login.service import LoginService
from server.request_errors import LoginRequired
from server.sync.syncer import Syncer


class SyncHandler(SessionHandler):
    """Starts a sync for a page of this server, in a browser that has a session."""

    def initialize(  # type: ignore[override]
        self, address: PublicAddress, login_service: LoginService, syncer: Syncer
    ) -> None:
        """Take the syncer from the routes."""
        super().initialize(address)
        self._login_service, self._syncer = login_service, syncer

    def prepare(self) -> None:
        """Bind the request's id, so that log events of the sync's start carry it."""
        _ = self.request_id

    async def post(self) -> None:
        """Start a sync; its outcome appears in the log, in the status and in the changes.

        Raises ForeignOrigin, LoginRequired, SyncRefused or SyncPaused.
        """
        self.refuse_foreign_posts()
        if await self._login_service.visitor(self.session_token) is None:
            raise LoginRequired
        await self._syncer.start()
        self.write_json({"status": "started"}, 202)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with a problem; a 401 also says where to log in."""
        if "exc_info" in kwargs and isinstance(kwargs["exc_info"][1], LoginRequired):
            self.set_header("WWW-Authenticate", self.login_challenge())
        super().write_error(status_code, **kwargs)
