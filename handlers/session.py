"""The browser's session: cookies, the origin check, and the address by which a browser comes."""

from typing import Any
from urllib.parse import urlsplit

from handlers.base import BaseHandler
from server.config.addresses import origin_of
from server.login.errors import ForeignOrigin

DONE_SECONDS = 60
FOREIGN = "The origin is missing or belongs to another server."


class PublicAddress:
    """How browsers reach this server: `url` is its PUBLIC_URL.

    `obstacle` says why browsers cannot log in at `url`; if so, they can at `loopback`.
    """

    def __init__(self, url: str, *, obstacle: str | None = None, loopback: str | None = None):
        self.url = url
        self.root = urlsplit(url).path.rstrip("/")
        self.origin = origin_of(url)
        self.obstacle = obstacle
        self.loopback = origin_of(loopback) if obstacle and loopback else None
        self.secure = url.startswith("https:")

    def cookie(self, name: str) -> str:
        """Return a cookie's full name.

        Under https its prefix keeps other hosts and plain http from setting it. Source: RFC 6265bis
        section 4.1.3 (prefixes).
        """
        return f"__Host-freshet_{name}" if self.secure else f"freshet_{name}"


class SessionHandler(BaseHandler):
    """Reads and sets the cookies of a browser, and refuses forms of other origins."""

    shared = False

    def initialize(self, address: PublicAddress) -> None:  # type: ignore[override]
        """Take the public address from the routes."""
        super().initialize(address.url)
        self._address = address

    def refuse_foreign_posts(self) -> None:
        """Raise ForeignOrigin unless a page of this server sent the request.

        `SameSite` alone lets other ports and sibling domains through. Source: Fetch standard,
        section 3.2 (Origin); W3C Fetch Metadata.
        """
        headers = self.request.headers
        site, origin = headers.get("Sec-Fetch-Site"), headers.get("Origin")
        ours = self._address.loopback if self.at_loopback else self._address.origin
        is_foreign = site not in (None, "same-origin") or origin not in (None, ours)
        if is_foreign or (site is None and origin is None):
            raise ForeignOrigin(FOREIGN)

    @property
    def at_loopback(self) -> bool:
        """Whether the request came by the loopback address, at which logins do work."""
        came_by = f"{self.request.protocol}://{self.request.host}"
        return self._address.loopback is not None and came_by == self._address.loopback

    @property
    def obstacle(self) -> str | None:
        """Why one click cannot log in at the address of this request; None if it can."""
        return None if self.at_loopback else self._address.obstacle

    @property
    def session_token(self) -> str | None:
        """The token of the browser's session."""
        return self.get_cookie(self._address.cookie("session"))

    def set_private_cookie(self, name: str, value: str, seconds: float) -> None:
        """Set a cookie that scripts cannot read and forms of other sites do not send."""
        full_name, flags = self._address.cookie(name), self._cookie_flags
        self.set_cookie(full_name, value, max_age=int(seconds), **flags)

    def delete_cookie(self, name: str) -> None:
        """Delete a cookie from the browser."""
        self.clear_cookie(self._address.cookie(name), **self._cookie_flags)

    def end_session(self) -> None:
        """Remove the session from the browser.

        The cookie is overwritten and expires after a second: when it is only deleted, Chromium
        shows pages of the session again at a press of the back button.
        """
        self.set_private_cookie("session", "", 1)

    def pop_done(self) -> str | None:
        """Return which action has just redirected the browser here, and forget it.

        The name is in a cookie, not in the address, so that a reload does not show it again.
        """
        done = self.get_cookie(self._address.cookie("done"))
        if done is not None:
            self.delete_cookie("done")
        return done

    def redirect_to(self, path: str, done: str | None = None) -> None:
        """Redirect to a path of this server, whose page then reports once that `done` is done."""
        if done is not None:
            self.set_private_cookie("done", done, DONE_SECONDS)
        self.set_header("Cache-Control", self.caching)
        base = self._address.loopback if self.at_loopback else self._address.url
        self.redirect(f"{base}{path}", status=303)

    def login_challenge(self) -> str:
        """Return the challenge of a 401 for browsers, which opens no login dialog in them.

        Source: draft-broyer-http-cookie-auth-00.
        """
        login, cookie = f"{self._address.root}/auth/login/", self._address.cookie("session")
        return f'Cookie realm="Freshet", form-action="{login}", cookie-name="{cookie}"'

    @property
    def _cookie_flags(self) -> dict[str, Any]:
        return {"secure": self._address.secure, "httponly": True, "samesite": "Lax"}
