"""The browser login: `/auth/login/`, `/auth/callback/`, `/auth/logout/`, `/auth/disconnect/`.

Where Spotify sends no browser back to PUBLIC_URL, `/auth/pasted/` takes the callback's address.
"""

import re
from urllib.parse import urlencode, urlsplit

from handlers.pages.base import PageHandler, Pages
from server.config.addresses import client_network
from server.login import known_browser
from server.login.attempt import LIFE, fingerprint
from server.login.callback import Callback, read_address
from server.login.service import LoginService
from server.login.session_store import SESSION_LIFE

COOKIE_SECONDS = 6 * LIFE.total_seconds()  # longer than a login may take, to tell late from foreign
MOST_ATTEMPTS = 5  # logins that one browser may have begun at once, in as many tabs
MOST_DROPPED = 20  # cookies of older logins that one answer takes back; the next takes more
MOVED = "moved"
OF_ATTEMPT = re.compile(r"login_[\w\-]*", re.ASCII)  # others are not ours


class AuthHandler(PageHandler):
    """What the four have in common."""

    def initialize(self, pages: Pages, login_service: LoginService) -> None:  # type: ignore[override]
        """Take what the login needs from the wiring."""
        super().initialize(pages)
        self._login_service = login_service

    def prepare(self) -> None:
        """Let what the login logs carry the request's id."""
        _ = self.request_id

    async def finish_login(self, callback: Callback) -> None:
        """Let the browser in that began this login; every failure is a page."""
        cookie = None
        if callback.state is not None:
            cookie = self.get_cookie(self._pages.cookie(attempt_cookie(callback.state)))
        admitted = await self._login_service.finish(
            callback,
            cookie,
            self.session_token,
            known_by=self.get_cookie(self._pages.cookie(known_browser.COOKIE)),
            network=client_network(self.request.remote_ip or ""),
        )
        self.keep_cookie("session", admitted.session, SESSION_LIFE.total_seconds())
        self.keep_cookie(known_browser.COOKIE, admitted.known, known_browser.LIFE.total_seconds())
        self.go(admitted.next)


class LoginHandler(AuthHandler):
    """Sends the browser to Spotify's consent page, or says how to go there and back by hand."""

    def get(self) -> None:
        """Begin a login; `next` is the local path to go to in the end."""
        target = self.get_query_argument("next", "/")
        if not self.at_loopback and self._is_elsewhere() and not self.get_query_argument(MOVED, ""):
            self.go("/auth/login/?" + urlencode({"next": target, MOVED: "1"}))
            return
        begun = self._login_service.begin(target)
        for old in self._attempts()[: 1 - MOST_ATTEMPTS][:MOST_DROPPED]:
            self.drop_cookie(old)
        self.keep_cookie(attempt_cookie(begun.state), begun.cookie, COOKIE_SECONDS)
        if self.obstacle:
            self._explain(begun.url)
            return
        self.set_header("Cache-Control", "no-store")
        self.redirect(begun.url)

    def _explain(self, consent_url: str) -> None:
        """Show how to log in where Spotify sends no browser back to this address."""
        self.send_page(
            "login_by_hand.html",
            title="Log in by copy and paste",
            obstacle=self.obstacle,
            consent_url=consent_url,
            redirect_uri=self._login_service.redirect_uri,
            loopback=self._pages.loopback,
            port=urlsplit(self._login_service.redirect_uri).port,
            host=urlsplit(self._pages.public_url).hostname,
        )

    def _is_elsewhere(self) -> bool:
        """Whether the browser came by another address, at which the callback's cookie would miss.

        People write localhost for 127.0.0.1, or http for https. They are sent on once; a proxy may
        hide the name.
        """
        ours, request = urlsplit(self._pages.origin), self.request
        return (request.protocol, request.host_name.strip("[]")) != (ours.scheme, ours.hostname)

    def _attempts(self) -> list[str]:
        """The names, without prefix, of cookies of logins that have begun; browsers send old first.

        Source: RFC 6265 section 5.4.
        """
        prefix = self._pages.cookie("")
        sent = dict(self.sent_cookies())
        names = (name.removeprefix(prefix) for name in sent if name.startswith(prefix))
        return [name for name in names if OF_ATTEMPT.fullmatch(name)]


class CallbackHandler(AuthHandler):
    """Where Spotify sends the browser back to."""

    async def get(self) -> None:
        """Finish the login; every failure is a page."""
        await self.finish_login(Callback.of(self.get_query_arguments))


class PastedHandler(AuthHandler):
    """Takes the address at which a browser ended that Spotify could not send back here."""

    async def post(self) -> None:
        """Finish the login as the callback does, for the browser that began it alone."""
        self.refuse_foreign_posts()
        await self.finish_login(read_address(self.get_body_argument("address", "")))


class LogoutHandler(AuthHandler):
    """Ends the browser's session."""

    async def post(self) -> None:
        """End it; that there was none is no error."""
        self.refuse_foreign_posts()
        await self._login_service.log_out(self.session_token)
        self.end_session()
        self.go("/", done="logged-out")


class DisconnectHandler(AuthHandler):
    """Deletes the tokens and data of the account that is logged in."""

    async def post(self) -> None:
        """Delete them at once."""
        self.refuse_foreign_posts()
        await self._login_service.disconnect(self.session_token)
        self.end_session()
        self.go("/", done="disconnected")


def attempt_cookie(state: str) -> str:
    """The name of the cookie of one login, so that two tabs can log in at once."""
    return f"login_{fingerprint(state).hex()[:16]}"
