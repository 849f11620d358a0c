"""`POST /api/sync/`: start a sync, for logged-in users and for keys with the scope `sync`."""

from handlers.access import AccessHandler
from handlers.session import PublicAddress
from server.login.access_keys import AccessKeys
from server.login.service import LoginService
from server.sync.syncer import Syncer


class SyncHandler(AccessHandler):
    """Starts a sync for a page of this server with a session, or for a program with a key."""

    def initialize(  # type: ignore[override]
        self,
        address: PublicAddress,
        login_service: LoginService,
        keys: AccessKeys,
        syncer: Syncer,
    ) -> None:
        """Take the syncer from the routes."""
        super().initialize(address, login_service, keys)
        self._syncer = syncer

    async def post(self) -> None:
        """Start a sync; its outcome appears in the log, in the status and in the changes.

        Raises ForeignOrigin, LoginRequired, KeyLacksScope, SyncRefused or SyncPaused.
        """
        await self.caller("sync")
        self.set_all(await self._syncer.start())
        self.write_json({"status": "started"}, 202)
