"""The browser login: `/auth/login/`, `/auth/callback/`, `/auth/logout/`, `/auth/disconnect/`.

Where Spotify cannot redirect browsers to PUBLIC_URL, `/auth/pasted/` takes the callback's address
from a form.
"""

import re
from urllib.parse import urlencode, urlsplit

from handlers.pages.base import PageHandler, Pages
from server.config.addresses import client_network
from server.login.attempt import HOME, LIFE, fingerprint
from server.login.callback import Callback, read_address
from server.login.login_budget import KNOWN_COOKIE, KNOWN_LIFE
from server.login.service import LoginService
from server.login.session_store import SESSION_LIFE

COOKIE_SECONDS = 6 * LIFE.total_seconds()  # longer than a login may take: late is not foreign
MOST_ATTEMPTS = 5  # unfinished logins of one browser, each in a tab
MOST_DROPPED = 20  # cookies of older logins that one response deletes; the next deletes more
MOVED = "moved"
OF_ATTEMPT = re.compile(r"login_[\w\-]*", re.ASCII)


class AuthHandler(PageHandler):
    """Base of the login's handlers: has the login service, and logs with the request's id."""

    def initialize(self, pages: Pages, login_service: LoginService) -> None:  # type: ignore[override]
        """Take the templates and the login service from the routes."""
        super().initialize(pages)
        self._login_service = login_service

    def prepare(self) -> None:
        """Bind the request's id, so that the login's log events carry it."""
        _ = self.request_id

    async def finish_login(self, callback: Callback) -> None:
        """Start a session in the browser that began this login.

        Raises LoginFailed, which becomes a page.
        """
        cookie = None
        if callback.state is not None:
            cookie = self.get_cookie(self._address.cookie(attempt_cookie(callback.state)))
            if (target := self._login_service.target(cookie)) != HOME:
                self.login_path = f"{self.login_path}?{urlencode({'next': target})}"
        admitted = await self._login_service.finish(
            callback,
            cookie,
            self.session_token,
            known_by=self.get_cookie(self._address.cookie(KNOWN_COOKIE)),
            network=client_network(self.request.remote_ip or ""),
        )
        self.set_private_cookie("session", admitted.session, SESSION_LIFE.total_seconds())
        self.set_private_cookie(KNOWN_COOKIE, admitted.known, KNOWN_LIFE.total_seconds())
        self.redirect_to(admitted.next)


class LoginHandler(AuthHandler):
    """Redirects to Spotify's consent page, or explains how to log in by copy and paste."""

    def get(self) -> None:
        """Begin a login; the parameter `next` is the local path to go to afterwards."""
        target = self.get_query_argument("next", "/")
        if not self.at_loopback and self._is_elsewhere() and not self.get_query_argument(MOVED, ""):
            self.redirect_to("/auth/login/?" + urlencode({"next": target, MOVED: "1"}))
            return
        started = self._login_service.begin(target)
        for old in self._attempts()[: 1 - MOST_ATTEMPTS][:MOST_DROPPED]:
            self.delete_cookie(old)
        self.set_private_cookie(attempt_cookie(started.state), started.cookie, COOKIE_SECONDS)
        if self.obstacle:
            self._explain(started.url)
            return
        self.set_header("Cache-Control", "no-store")
        self.redirect(started.url)

    def _explain(self, consent_url: str) -> None:
        """Show how to log in where Spotify cannot redirect to this address."""
        self.send_page(
            "login_by_hand.html",
            title="Log in by copy and paste",
            obstacle=self.obstacle,
            consent_url=consent_url,
            scopes=self._login_service.scopes,
            redirect_uri=self._login_service.redirect_uri,
            loopback=self._address.loopback,
            port=urlsplit(self._login_service.redirect_uri).port,
            host=urlsplit(self._address.url).hostname,
        )

    def _is_elsewhere(self) -> bool:
        """Return whether the browser uses another address, whose cookies the callback would miss.

        People write localhost for 127.0.0.1, or http for https. They are redirected only once,
        because behind a proxy that hides the name this is always true.
        """
        ours, request = urlsplit(self._address.origin), self.request
        return (request.protocol, request.host_name.strip("[]")) != (ours.scheme, ours.hostname)

    def _attempts(self) -> list[str]:
        """Return the names, without prefix, of the cookies of started logins, the oldest first.

        Browsers send them in this order. Source: RFC 6265 section 5.4.
        """
        prefix = self._address.cookie("")
        sent = dict(self.sent_cookies())
        names = (name.removeprefix(prefix) for name in sent if name.startswith(prefix))
        return [name for name in names if OF_ATTEMPT.fullmatch(name)]


class CallbackHandler(AuthHandler):
    """Receives the browser that Spotify redirects back."""

    async def get(self) -> None:
        """Finish the login."""
        await self.finish_login(Callback.of(self.get_query_arguments))


class PastedHandler(AuthHandler):
    """Receives, as form field `address`, the callback's address that a person has copied."""

    async def post(self) -> None:
        """Finish the login as the callback does, only for the browser that began it."""
        self.refuse_foreign_posts()
        await self.finish_login(read_address(self.get_body_argument("address", "")))


class LogoutHandler(AuthHandler):
    """Ends the browser's session."""

    async def post(self) -> None:
        """End the session; without one, do nothing."""
        self.refuse_foreign_posts()
        await self._login_service.log_out(self.session_token)
        self.end_session()
        self.redirect_to("/", done="logged-out")


class DisconnectHandler(AuthHandler):
    """Deletes the tokens and data of the logged-in account."""

    async def post(self) -> None:
        """Delete tokens and data, and end the session."""
        self.refuse_foreign_posts()
        await self._login_service.disconnect(self.session_token)
        self.end_session()
        self.redirect_to("/", done="disconnected")


def attempt_cookie(state: str) -> str:
    """Return the cookie name of one login, so that two tabs can log in at the same time."""
    return f"login_{fingerprint(state).hex()[:16]}"
