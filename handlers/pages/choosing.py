"""Watching and ignoring artists by the buttons on covers and on artists' pages."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, get_args

from handlers.pages.account import VISITOR_SECONDS, AccountHandler, PrivateHandler
from handlers.pages.presenters import choice_buttons
from handlers.pages.presenters.choice_buttons import Action
from handlers.pages.presenters.formatting import counted
from server.catalog.query import MAX_QUERY_LENGTH
from server.errors import DatabaseError, InvalidParameters, ParameterFault
from server.following.choices import EMPTY, Choices
from server.following.my_releases import MyReleases
from server.login.attempt import local_path
from server.login.session_store import Visitor
from server.request_errors import ImportRefused, Overloaded
from server.storage.following import Choice, MyArtists


class ChoosingHandler(AccountHandler):
    """Base of pages with covers, which have buttons for owners only."""

    def initialize(self, my_releases: MyReleases, **account: Any) -> None:  # type: ignore[override]
        """Take the artists of owners from the routes."""
        super().initialize(**account)
        self._my_releases = my_releases

    async def choosing(self, visitor: Visitor | None) -> dict[str, Any]:
        """Return the values that the buttons need: `mine` is None where there are none."""
        mine: MyArtists | None = None
        if visitor is not None:
            try:
                async with asyncio.timeout(VISITOR_SECONDS):
                    mine = (await self._my_releases.read(visitor.account_id)).artists
            except (DatabaseError, Overloaded, TimeoutError):
                mine = None
        return {
            "mine": mine,
            "buttons": choice_buttons,
            "here": self.request.uri,
            "stays": True,  # whether a release stays on the page, whatever is chosen
        }

    def chosen(self, visitor: Visitor | None, done: str | None) -> str | None:
        """Return the message about a button that has just been pressed, if any."""
        return choice_buttons.DONE.get(done or "") if visitor else None


class ChooseHandler(PrivateHandler):
    """Receives the buttons, and sends the browser back to where it was."""

    def initialize(  # type: ignore[override]
        self, choices: Choices, my_releases: MyReleases, **login: Any
    ) -> None:
        """Take the choices and the artists of owners from the routes."""
        super().initialize(**login)
        self._choices, self._my_releases = choices, my_releases

    async def post(self, artist: str) -> None:
        """Do what the button says; `next` is the local path to go to afterwards.

        Raises InvalidParameters, TooManyArtists, Overloaded or a DatabaseError.
        """
        owner = self.owner.account_id
        action = self.get_body_argument("do", "")
        if action not in get_args(Action):
            reason = f"must be one of {', '.join(get_args(Action))}"
            raise InvalidParameters([ParameterFault("do", action, reason)])
        if action == "watch":
            await self._choices.choose(owner, {artist: None}, "watched")
        elif action == "ignore":
            await self._choices.choose(owner, {artist: None}, "ignored")
        else:
            await self._take_back(owner, artist, action)
        here = local_path(self.get_body_argument("next", "/my/"), MAX_QUERY_LENGTH)
        self.redirect_to(here, done=action)

    async def _take_back(self, owner: str, artist: str, action: str) -> None:
        """Take a choice back; if the server has made it too, choose the opposite instead."""
        choice: Choice = "watched" if action == "unwatch" else "ignored"
        await self._choices.unchoose(owner, [artist], choice)
        mine = (await self._my_releases.read(owner)).artists
        if choice == "watched" and artist in mine.watched:
            await self._choices.choose(owner, {artist: None}, "ignored")
        if choice == "ignored" and artist in mine.ignored:
            await self._choices.choose(owner, {artist: None}, "watched")


class ImportPageHandler(PrivateHandler):
    """Receives the form that imports a list of artists."""

    def initialize(  # type: ignore[override]
        self, choices: Choices, my_releases: MyReleases, **login: Any
    ) -> None:
        """Take the choices from the routes."""
        super().initialize(**login)
        self._choices = choices

    async def post(self) -> None:
        """Watch the artists, and show which lines were not understood, if any.

        Raises ImportRefused, TooManyArtists, Overloaded or a DatabaseError.
        """
        owner = self.owner.account_id
        text = self.get_body_argument("list", "", strip=False)
        imported = await self._choices.import_artists(owner, text.encode())
        if not imported.artists and not imported.lines_not_understood:
            raise ImportRefused(EMPTY)  # comments alone
        if not imported.lines_not_understood:
            self.redirect_to("/my/", done="import")
            return
        self.send_page("imported.html", title="Import", imported=imported, counted=counted)


class RefreshHandler(PrivateHandler):
    """Has the account's list on Spotify read again."""

    def initialize(  # type: ignore[override]
        self, refresh: Callable[[str], Awaitable[bool]], **login: Any
    ) -> None:
        """Take from the routes what requests a read, and says whether that is possible now."""
        super().initialize(**login)
        self._refresh = refresh

    async def post(self) -> None:
        """Request a read, and go back to the page. Raises DatabaseError."""
        requested = await self._refresh(self.owner.account_id)
        self.redirect_to("/my/", done="refresh" if requested else "refresh-later")
