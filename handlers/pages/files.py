"""Files that change with the program only: style sheets, scripts, the icon, robots.txt."""

from tornado.web import StaticFileHandler

from handlers.base import BaseHandler

# Private or of no use in a search engine. `/?*` are the countless filters of the wall.
PRIVATE = ("/?*", "/api/", "/auth/", "/feeds/", "/metrics", "/healthz", "/readyz")


class StaticHandler(BaseHandler, StaticFileHandler):
    """Style sheets and scripts, which change with the program only."""

    shared = False
    compute_etag = StaticFileHandler.compute_etag

    def initialize(self, path: str, root: str) -> None:  # type: ignore[override]
        """Take the folder from the wiring."""
        BaseHandler.initialize(self, root)
        StaticFileHandler.initialize(self, path)

    def set_extra_headers(self, _path: str) -> None:
        """An hour is short enough for an upgrade."""
        self.set_header("Cache-Control", "public, max-age=3600")
        self.set_header("X-Content-Type-Options", "nosniff")


class IconHandler(BaseHandler):
    """`/favicon.ico`: what browsers and feed readers ask for by themselves."""

    def get(self) -> None:
        """Send them to the icon of all pages."""
        self.set_header("Cache-Control", "public, max-age=3600")
        self.redirect(f"{self._root}/static/freshet.svg", permanent=True)

    head = get


class RobotsHandler(BaseHandler):
    """`/robots.txt`: crawlers may read pages, but not follow what is private or endless.

    Source: RFC 9309.
    """

    def initialize(self, path: str, root: str) -> None:  # type: ignore[override]
        """Take the path of PUBLIC_URL from the wiring: all addresses are below it."""
        super().initialize(root)
        lines = [
            "User-agent: *",
            f"Allow: {path}/api/docs/",
            *(f"Disallow: {path}{each}" for each in PRIVATE),
        ]
        self._body = "\n".join(lines) + "\n"

    def get(self) -> None:
        """Send it."""
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.set_header("Cache-Control", "public, max-age=3600")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.finish(self._body)

    head = get


class EntranceHandler(BaseHandler):
    """`/api/`: where people look for what the API is."""

    def get(self) -> None:
        """Send them to the documentation."""
        self.set_header("Cache-Control", "public, max-age=3600")
        self.redirect(f"{self._root}/api/docs/", status=303)

    head = get
