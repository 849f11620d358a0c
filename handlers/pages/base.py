"""What all pages for people share: templates, security headers, and errors as pages."""

import http.client
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from tornado.template import Loader

from handlers.base import BaseHandler
from handlers.pages.presenters.formatting import date_words
from handlers.session import PublicAddress, SessionHandler
from server import __version__
from server.config.addresses import origin_of
from server.errors import FreshetError, InvalidParameters, NotFound
from server.login.errors import LoginFailed
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
PLACES = {"cursor", "offset", "release_limit"}  # parameters: which part of a list to show
FOR_PROGRAMS = ("/api", "/feeds")
COVERS = ("https://i.scdn.co", "https://*.spotifycdn.com")  # hosts of Spotify's pictures

# Versions before 0.2 stored addresses of the stand-in itself, without /demo.
DEMO_ADDRESS = re.compile(r"https?://[^/\s,]+(?:/demo)?/(image|open)/")


class Pages:
    """The templates of all pages, and what is the same on each of them.

    `address` is how browsers reach this server. `api_url` is Spotify's Web API: if that is another
    server, such as the stand-in, pages show that server's pictures too. With `demo`, each page says
    that this is the demo.
    """

    def __init__(
        self, address: PublicAddress, api_url: str = SPOTIFY, *, demo: bool = False
    ) -> None:
        self.address = address
        self._demo = demo
        self._loader = Loader(str(HERE / "templates"))
        elsewhere = () if origin_of(api_url) == SPOTIFY else (origin_of(api_url),)
        self.pictured = f"{SCRIPTED}; img-src 'self' {' '.join((*COVERS, *elsewhere))}"

    def render(self, name: str, **values: Any) -> bytes:
        """Return a page as UTF-8; the values put into it are escaped."""
        values = {"visitor": None, **values, "root": self.address.root, "version": __version__}
        return self._loader.load(name).generate(demo=self._demo, local=self.local, **values)

    def local(self, addresses: str) -> str:
        """Return addresses of the demo's covers and pages as paths of this server.

        Paths stay valid whichever address the page was reached by, and after a restart on another
        port. Other addresses are returned unchanged.
        """
        return (
            DEMO_ADDRESS.sub(rf"{self.address.root}/demo/\1/", addresses)
            if self._demo
            else addresses
        )


class PageHandler(SessionHandler):
    """Answers with HTML, including errors.

    `login_path` is where an error page leads that offers a login.
    """

    login_path = "/auth/login/"

    def initialize(self, pages: Pages) -> None:  # type: ignore[override]
        """Take the templates from the routes."""
        super().initialize(pages.address)
        self._pages = pages

    def send_page(self, name: str, status: int = 200, policy: str = POLICY, **values: Any) -> None:
        """Answer with a rendered template, which caches do not store."""
        self.set_status(status)
        self.set_page_headers(policy)
        self.set_header("Cache-Control", self.caching)
        self.finish(self._pages.render(name, **values))

    def set_page_headers(self, policy: str = POLICY) -> None:
        """Set the headers that isolate a page from other sites (see APART)."""
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Content-Security-Policy", policy)
        self.set_header("Referrer-Policy", "same-origin")  # no-referrer would blank our own Origin
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_all(APART)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with an error page: what happened and what to do, never the text of a request."""
        error = kwargs["exc_info"][1] if "exc_info" in kwargs else None
        title, advice = http.client.responses.get(status_code, "Error"), "Go back and try again."
        if isinstance(error, FreshetError):
            status_code, title = error.status, error.title
            advice = "This is usually temporary. Try again in a moment."
            if error.public:
                advice = str(error)
            self.set_all(error.retry_headers())
        if isinstance(error, LoginFailed):
            advice = error.advice
        if status_code == 405:
            self.set_header("Allow", self.allowed_methods())
            advice = "This address only accepts the forms of Freshet's own pages."
        again = error.again if isinstance(error, LoginFailed) else None
        faults = error.faults if isinstance(error, InvalidParameters) else ()
        values: dict[str, Any] = {"advice": advice, "again": again, "faults": faults}
        values["login"] = self.login_path
        values["instead"] = self._instead(error) if isinstance(error, InvalidParameters) else None
        self.send_page("error.html", status_code, title=title, request_id=self.request_id, **values)

    def _instead(self, error: InvalidParameters) -> tuple[str, str] | None:
        """Return the text and the path of a link to this page without its faults, if one can help.

        It is the first page instead of one that cannot be found, and the nearest day that there is.
        """
        faulty = {fault["parameter"] for fault in error.faults}
        if faulty - PLACES - error.nearest.keys():
            return None
        given = parse_qsl(self.request.query, errors="replace")
        kept = [pair for pair in given if pair[0] not in faulty | PLACES]
        query = urlencode([*kept, *error.nearest.items()], safe=",/")
        day = error.nearest.get("at")
        text = f"Show {date_words(day)}" if day else "Back to the first page"
        return text, self.request.path + (f"?{query}" if query else "")

    @property
    def prefers_page(self) -> bool:
        """Whether the client prefers HTML to JSON."""
        return prefers_page(", ".join(self.request.headers.get_list("Accept")))


class NotFoundHandler(PageHandler):
    """Answers where no route matches, with a page or a problem as the client prefers."""

    def prepare(self) -> None:
        """Raise NotFound, except for a CORS preflight.

        A preflight is answered so that its script can read the problem that follows.
        """
        request = self.request
        if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers:
            raise NotFound(NOWHERE)
        self.shared = True
        self.share()
        self.options()
        self.finish()

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer 404 whatever the method, even one that Tornado does not know."""
        if status_code == 405:
            kwargs["exc_info"] = (NotFound, NotFound(NOWHERE), None)
        self.set_header("Vary", "Accept")
        answer = PageHandler if self._is_for_people else BaseHandler
        answer.write_error(self, NotFound.status, **kwargs)

    @property
    def _is_for_people(self) -> bool:
        """Whether to answer with a page; under the API and the feeds all errors are problems."""
        path = self.request.path
        of_programs = any(path == each or path.startswith(f"{each}/") for each in FOR_PROGRAMS)
        return not of_programs and self.prefers_page
