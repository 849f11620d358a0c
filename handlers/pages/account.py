"""The login panel of pages: the account, how long its consent lasts, and what it may do."""

import asyncio
from collections.abc import Callable
from typing import Any

from handlers.access import PRIVATE, READING
from handlers.pages.base import NOWHERE, POLICY, PageHandler, Pages
from handlers.pages.presenters.formatting import counted, moment
from server.errors import DatabaseError, NotFound
from server.login.login_budget import KNOWN_COOKIE, KNOWN_LIFE
from server.login.service import LoginService
from server.login.session_store import Visitor
from server.request_errors import LoginRequired, Overloaded
from server.spotify.consent import Consent
from server.sync.status import Status

VISITOR_SECONDS = 2.0  # how long a page waits for the database


class OwnersHandler(PageHandler):
    """Base of the pages that only a logged-in account has.

    Strangers get the same answer, whatever the path and the method: they learn nothing of what
    exists.
    """

    caching = PRIVATE["Cache-Control"]
    login_path = "/auth/login/?next=/my/"  # the same for all private pages
    _login_service: LoginService
    _owner: Visitor | None = None

    async def prepare(self) -> None:
        """Find out who sent the request, before anything else of it is looked at.

        Raises LoginRequired, ForeignOrigin for a form of another site, Overloaded or a
        DatabaseError.
        """
        if self.request.method not in READING:
            self.refuse_foreign_posts()
        self._owner = await self._login_service.visitor(self.session_token)
        if self._owner is None:
            raise LoginRequired

    @property
    def owner(self) -> Visitor:
        """The logged-in account."""
        assert self._owner is not None
        return self._owner

    def send_page(self, name: str, status: int = 200, policy: str = POLICY, **values: Any) -> None:
        """Answer with a page, which leads the logged-in account to its artists."""
        super().send_page(name, status, policy, **{"visitor": self._owner, **values})

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with an error page, for strangers also where the method is unknown."""
        error = kwargs["exc_info"][1] if "exc_info" in kwargs else None
        if isinstance(error, LoginRequired) or (status_code == 405 and self._owner is None):
            self._invite()
        else:
            super().write_error(status_code, **kwargs)

    def _invite(self) -> None:
        """Answer a stranger: what is here, and how to log in, whatever the path."""
        self.set_header("WWW-Authenticate", self.login_challenge())
        self.send_page(
            "stranger.html",
            LoginRequired.status,
            title=LoginRequired.title,
            scopes=self._login_service.scopes,
            obstacle=self.obstacle,
            login=self.login_path,
            request_id=self.request_id,
        )


class PrivateHandler(OwnersHandler):
    """Base of the private pages without the login panel."""

    def initialize(self, pages: Pages, login_service: LoginService) -> None:  # type: ignore[override]
        """Take the login service from the routes."""
        super().initialize(pages)
        self._login_service = login_service


class NoPageHandler(PrivateHandler):
    """Answers at private addresses without a page."""

    async def prepare(self) -> None:
        """Raise NotFound for a logged-in account, LoginRequired or ForeignOrigin for others."""
        await super().prepare()
        raise NotFound(NOWHERE)


class AccountHandler(PageHandler):
    """Reads the database only for browsers that have a session."""

    def initialize(  # type: ignore[override]
        self,
        pages: Pages,
        login_service: LoginService,
        read_status: Callable[[], Status],
        owned: bool,
    ) -> None:
        """Take the login from the routes; `owned`: the first account to log in owns the server."""
        super().initialize(pages)
        self._login_service, self._read_status, self._owned = login_service, read_status, owned

    async def visitor(self) -> Visitor | None:
        """Return the logged-in account; None without a session or an answer of the database.

        Browsers whose session was started by an older version get the cookie of known browsers.
        """
        try:
            async with asyncio.timeout(VISITOR_SECONDS):
                visitor = await self._login_service.visitor(self.session_token)
        except (DatabaseError, Overloaded, TimeoutError):
            return None
        if visitor is not None and not self.get_cookie(self._address.cookie(KNOWN_COOKIE)):
            mark = self._login_service.mark(visitor.account_id)
            self.set_private_cookie(KNOWN_COOKIE, mark, KNOWN_LIFE.total_seconds())
        return visitor

    def account(self, visitor: Visitor | None, status: Status) -> dict[str, Any]:
        """Return the values that `account.html` shows."""
        consent, scopes = status.consent, self._login_service.scopes
        is_theirs = visitor and consent and consent.account_id == visitor.account_id
        lacking = consent.lacks(scopes) if consent and is_theirs else []
        return {
            "visitor": visitor,
            "scopes": scopes,
            "lacking": lacking,
            "known": status.consent_is_known,
            "consent": consent,
            "days_left": status.days_to_reconsent,
            "action": "Log in again"
            if lacking and not self.obstacle
            else self._action(visitor, consent),
            "owned": self._owned,
            "obstacle": self.obstacle,
            "moment": moment,
            "counted": counted,
        }

    def _action(self, visitor: Visitor | None, consent: Consent | None) -> str:
        """Return the label of the button to Spotify."""
        if self.obstacle:
            return "How to log in"
        if visitor is None:
            return "Log in with Spotify"
        return "Renew consent" if consent and consent.state == "active" else "Log in again"
