"""What all pages for people share: templates, headers, errors in words, and their own origin."""

import http.client
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tornado.template import Loader

from handlers.base import BaseHandler
from server import __version__
from server.config.addresses import origin_of
from server.errors import FreshetError, InvalidParameters, NothingThere
from server.login.errors import ForeignOrigin, LoginFailed
from server.serving.negotiation import prefers_page

HERE = Path(__file__).parents[1]
STATIC = HERE / "static"
POLICY = (
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "object-src 'none'; script-src 'none'"
)
SCRIPTED = POLICY.replace("script-src 'none'", "script-src 'self'")
APART = {  # X-Frame-Options is for browsers that do not know `frame-ancestors`
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "X-Frame-Options": "DENY",
}
SPOTIFY = "https://api.spotify.com"
NOWHERE = "Page not found. Please check the address."
DONE_SECONDS = 60
FOREIGN = "The origin is missing or belongs to another server."
FOR_PROGRAMS = ("/api", "/feeds")
COVERS = ("https://i.scdn.co", "https://*.spotifycdn.com")  # where Spotify keeps its pictures

# Also as versions before 0.2 stored them: under the address of the stand-in itself.
DEMO_ADDRESS = re.compile(r"https?://[^/\s,]+(?:/demo)?/(image|open)/")


class Pages:
    """The templates, and how this server is reached: `public_url` is its PUBLIC_URL.

    `api_url` is where Spotify is asked; if that is something else, its pictures are there too.
    `obstacle` says why no browser can log in at `public_url`; then one can at `loopback`. In the
    `demo` each page says that it is one.
    """

    def __init__(
        self,
        public_url: str,
        api_url: str = SPOTIFY,
        *,
        obstacle: str | None = None,
        loopback: str | None = None,
        demo: bool = False,
    ) -> None:
        self._demo = demo
        self._loader = Loader(str(HERE / "templates"))
        elsewhere = () if origin_of(api_url) == SPOTIFY else (origin_of(api_url),)
        self.pictured = f"{SCRIPTED}; img-src 'self' {' '.join((*COVERS, *elsewhere))}"
        self.public_url = public_url
        self.root = urlsplit(public_url).path.rstrip("/")
        self.origin = origin_of(public_url)
        self.obstacle = obstacle
        self.loopback = origin_of(loopback) if obstacle and loopback else None
        self.secure = public_url.startswith("https:")

    def render(self, name: str, **values: Any) -> bytes:
        """A page; what is put into it is escaped."""
        values |= {"root": self.root, "version": __version__}
        return self._loader.load(name).generate(demo=self._demo, local=self.local, **values)

    def local(self, addresses: str) -> str:
        """Return addresses of the demo's covers and pages as paths of this server.

        So they are right however this page was reached, and after a restart on another port.
        """
        return DEMO_ADDRESS.sub(rf"{self.root}/demo/\1/", addresses) if self._demo else addresses

    def cookie(self, name: str) -> str:
        """A cookie's full name: under https, one that no other host and no http can set.

        Source: RFC 6265bis section 4.1.3 (prefixes).
        """
        return f"__Host-freshet_{name}" if self.secure else f"freshet_{name}"


class PageHandler(BaseHandler):
    """Answers with HTML, also to errors."""

    shared = False

    def initialize(self, pages: Pages) -> None:  # type: ignore[override]
        """Take the templates from the wiring."""
        super().initialize(pages.public_url)
        self._pages = pages

    def send_page(self, name: str, status: int = 200, policy: str = POLICY, **values: Any) -> None:
        """Render a template and answer with it."""
        self.set_status(status)
        self.set_page_headers(policy)
        self.set_header("Cache-Control", "no-store")
        self.finish(self._pages.render(name, **values))

    def set_page_headers(self, policy: str = POLICY) -> None:
        """What keeps a page to itself."""
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Content-Security-Policy", policy)
        self.set_header("Referrer-Policy", "same-origin")  # no-referrer would blank our own Origin
        self.set_header("X-Content-Type-Options", "nosniff")
        for name, value in APART.items():
            self.set_header(name, value)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Say what happened and what to do; never what came from outside."""
        error = kwargs["exc_info"][1] if "exc_info" in kwargs else None
        title, advice = http.client.responses.get(status_code, "Error"), "Go back and try again."
        if isinstance(error, FreshetError):
            status_code, title = error.status, error.title
            advice = "This is usually temporary. Try again in a moment."
            if error.public:
                advice = str(error)
            if error.retry_after is not None:
                self.set_header("Retry-After", str(error.retry_after))
        if isinstance(error, LoginFailed):
            advice = error.advice
        if status_code == 405:
            self.set_header("Allow", self.allowed_methods())
            advice = "This address only accepts the forms of Freshet's own pages."
        again = error.again if isinstance(error, LoginFailed) else None
        faults = error.faults if isinstance(error, InvalidParameters) else ()
        values: dict[str, Any] = {"advice": advice, "again": again, "faults": faults}
        self.send_page("error.html", status_code, title=title, request_id=self.request_id, **values)

    @property
    def prefers_page(self) -> bool:
        """Whether the client prefers HTML to JSON."""
        return prefers_page(", ".join(self.request.headers.get_list("Accept")))

    def refuse_foreign_posts(self) -> None:
        """Raise ForeignOrigin unless a page of ours has sent this form.

        `SameSite` alone lets other ports and sibling domains through. Source: Fetch standard,
        section 3.2 (Origin); W3C Fetch Metadata.
        """
        headers = self.request.headers
        site, origin = headers.get("Sec-Fetch-Site"), headers.get("Origin")
        ours = self._pages.loopback if self.at_loopback else self._pages.origin
        is_foreign = site not in (None, "same-origin") or origin not in (None, ours)
        if is_foreign or (site is None and origin is None):
            raise ForeignOrigin(FOREIGN)

    @property
    def at_loopback(self) -> bool:
        """Whether the browser came by the address at which it can log in all the same."""
        came_by = f"{self.request.protocol}://{self.request.host}"
        return self._pages.loopback is not None and came_by == self._pages.loopback

    @property
    def obstacle(self) -> str | None:
        """Why no browser can log in by one click at the address by which this one came."""
        return None if self.at_loopback else self._pages.obstacle

    @property
    def session_token(self) -> str | None:
        """The token of the browser's session."""
        return self.get_cookie(self._pages.cookie("session"))

    def keep_cookie(self, name: str, value: str, seconds: float) -> None:
        """Set a cookie that scripts cannot read and other sites' forms do not send."""
        full_name, flags = self._pages.cookie(name), self._cookie_flags
        self.set_cookie(full_name, value, max_age=int(seconds), **flags)

    def end_session(self) -> None:
        """Take the session from the browser.

        It is overwritten and lives on for a second: when a cookie is only deleted, Chromium shows
        pages of the session again at a press of the back button.
        """
        self.keep_cookie("session", "", 1)

    def take_done(self) -> str | None:
        """Return what the browser was just sent here for, once: the address does not keep it."""
        done = self.get_cookie(self._pages.cookie("done"))
        if done is not None:
            self.drop_cookie("done")
        return done

    def drop_cookie(self, name: str) -> None:
        """Tell the browser to forget a cookie."""
        self.clear_cookie(self._pages.cookie(name), **self._cookie_flags)

    @property
    def _cookie_flags(self) -> dict[str, Any]:
        return {"secure": self._pages.secure, "httponly": True, "samesite": "Lax"}

    def go(self, path: str, done: str | None = None) -> None:
        """Send the browser to a path of ours, whose page then says once what was `done`."""
        if done is not None:
            self.keep_cookie("done", done, DONE_SECONDS)
        self.set_header("Cache-Control", "no-store")
        base = self._pages.loopback if self.at_loopback else self._pages.public_url
        self.redirect(f"{base}{path}", status=303)


class NotFoundHandler(PageHandler):
    """Every address that no route knows: a page for who wants one, or else a problem."""

    def prepare(self) -> None:
        """Answer a preflight, so that its script can read the problem. Raises NothingThere."""
        request = self.request
        if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers:
            raise NothingThere(NOWHERE)
        self.shared = True
        self.share()
        self.options()
        self.finish()

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Whatever the method, even one that Tornado does not know."""
        if status_code == 405:
            kwargs["exc_info"] = (NothingThere, NothingThere(NOWHERE), None)
        self.set_header("Vary", "Accept")
        answer = PageHandler if self._is_for_people else BaseHandler
        answer.write_error(self, NothingThere.status, **kwargs)

    @property
    def _is_for_people(self) -> bool:
        """Under the API and the feeds all errors are problems."""
        path = self.request.path
        of_programs = any(path == each or path.startswith(f"{each}/") for each in FOR_PROGRAMS)
        return not of_programs and self.prefers_page
