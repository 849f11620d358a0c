"""Static files, the icon, robots.txt, and the redirect from `/api/`."""

from tornado.web import StaticFileHandler

from handlers.base import BaseHandler

# Private, or useless in a search engine; `/?*` are the filters, past days and further pages of the
# start page: countless, and links with a cursor end after some days.
PRIVATE = ("/?*", "/api/", "/auth/", "/feeds/", "/my/", "/metrics", "/healthz", "/readyz")


class StaticHandler(BaseHandler, StaticFileHandler):
    """Style sheets and scripts, which change only with the program."""

    shared = False
    compute_etag = StaticFileHandler.compute_etag

    def initialize(self, path: str, root: str) -> None:  # type: ignore[override]
        """Take the folder from the routes."""
        BaseHandler.initialize(self, root)
        StaticFileHandler.initialize(self, path)

    def set_extra_headers(self, _path: str) -> None:
        """Let clients cache for an hour, short enough for upgrades."""
        self.set_header("Cache-Control", "public, max-age=3600")
        self.set_header("X-Content-Type-Options", "nosniff")


class IconHandler(BaseHandler):
    """`/favicon.ico`, which browsers and feed readers request by themselves."""

    def get(self) -> None:
        """Redirect to the icon of all pages."""
        self.set_header("Cache-Control", "public, max-age=3600")
        self.redirect(f"{self._root}/static/freshet.svg", permanent=True)

    head = get


class RobotsHandler(BaseHandler):
    """`/robots.txt`: crawlers may read the pages, except private and endless ones.

    There is no sitemap: `/` leads to what is new, and from there to the artists. Source: RFC 9309.
    """

    def initialize(self, path: str, root: str) -> None:  # type: ignore[override]
        """Take the path of PUBLIC_URL, which precedes all others, from the routes."""
        super().initialize(root)
        lines = [
            "User-agent: *",
            f"Allow: {path}/api/docs/",
            *(f"Disallow: {path}{each}" for each in PRIVATE),
        ]
        self._body = "\n".join(lines) + "\n"

    def get(self) -> None:
        """Send the file."""
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.set_header("Cache-Control", "public, max-age=3600")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.finish(self._body)

    head = get


class ApiRootHandler(BaseHandler):
    """`/api/`, where people look for the documentation."""

    def get(self) -> None:
        """Redirect to the documentation."""
        self.set_header("Cache-Control", "public, max-age=3600")
        self.redirect(f"{self._root}/api/docs/", status=303)

    head = get
