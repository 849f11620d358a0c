"""The page of access keys, `/my/keys/`: make one, see it once, revoke those no longer needed."""

from typing import Any

from handlers.api.keys import read_wish
from handlers.pages.account import PrivateHandler
from handlers.pages.base import Pages
from handlers.pages.presenters.formatting import moment
from server.errors import NotFound
from server.login.access_keys import AccessKeys
from server.login.key_store import MOST_KEYS
from server.login.service import LoginService

PATH = "/my/keys/"
NO_KEY = "You have no such key; it may have been revoked already."
REVOKED = "key-revoked"
FEEDS = frozenset({"read", "manage"})  # scopes with which a key opens private feeds
MEANINGS = {
    "read": "read private lists and feeds",
    "sync": "start a sync",
    "manage": "change what is private, and list and revoke keys; includes read",
}


class KeyPagesHandler(PrivateHandler):
    """Base of the pages of keys: a session's account and its keys."""

    def initialize(  # type: ignore[override]
        self, pages: Pages, login_service: LoginService, keys: AccessKeys
    ) -> None:
        """Take the keys from the routes."""
        super().initialize(pages, login_service)
        self._keys = keys


class KeysPageHandler(KeyPagesHandler):
    """Shows the keys of the account, and makes one from the page's form."""

    async def get(self) -> None:
        """Send the page. Raises Overloaded or a DatabaseError."""
        owner = self.owner.account_id
        await self._show(owner, revoked=self.pop_done() == REVOKED)

    head = get

    async def post(self) -> None:
        """Make a key, and show it in this answer alone.

        Raises InvalidBody or TooManyKeys.
        """
        owner = self.owner.account_id
        form = {"name": self.get_body_argument("name", ""), "scopes": self.scopes}
        wish = read_wish(form)
        made = await self._keys.create(owner, wish.name, wish.scopes)
        await self._show(owner, made=made, feeds=not FEEDS.isdisjoint(wish.scopes))

    @property
    def scopes(self) -> list[str]:
        """The scopes that are ticked in the form."""
        return self.get_body_arguments("scope")

    async def _show(self, owner: str, **values: Any) -> None:
        entries = await self._keys.entries(owner)
        shown = {"made": None, "revoked": False, "feeds": False, **values}
        self.send_page(
            "keys.html",
            title="Access keys",
            entries=entries,
            meanings=MEANINGS,
            most=MOST_KEYS,
            base=self._address.url,
            moment=moment,
            **shown,
        )


class RevokeHandler(KeyPagesHandler):
    """Revokes one key of the account."""

    async def post(self, identity: str) -> None:
        """Revoke the key, and return to the page. Raises NotFound."""
        owner = self.owner.account_id
        if not await self._keys.revoke(owner, int(identity)):
            raise NotFound(NO_KEY)
        self.redirect_to(PATH, done=REVOKED)
