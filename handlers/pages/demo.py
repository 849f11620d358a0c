"""Routes of the demo: steps to real releases, covers, redirects to pages of the stand-in."""

from collections.abc import Callable

from handlers.base import BaseHandler
from handlers.pages.base import PageHandler, Pages
from server.config.getting_started import steps
from server.errors import NotFound

YEAR = 31_536_000  # seconds
SETUP_TITLE = "From the demo to the real releases"


class SetupHandler(PageHandler):
    """`/setup`: the steps to real releases, with this server's redirect URI; reads no database."""

    def initialize(self, pages: Pages, redirect_uri: str) -> None:  # type: ignore[override]
        """Take the redirect URI from the routes."""
        super().initialize(pages)
        self._redirect_uri = redirect_uri

    def get(self) -> None:
        """Send the page."""
        self.send_page("setup.html", title=SETUP_TITLE, steps=steps(self._redirect_uri))

    head = get


class CoverHandler(BaseHandler):
    """`/demo/image/{id}`: a cover or portrait, drawn from its id."""

    def initialize(self, draw: Callable[[str], bytes | None], root: str) -> None:  # type: ignore[override]
        """Take `draw`, which returns an SVG or None for an unknown id, from the routes."""
        super().initialize(root)
        self._draw = draw

    def get(self, image_id: str) -> None:
        """Send the picture. Raises NotFound for an unknown id."""
        picture = self._draw(image_id)
        if picture is None:
            raise NotFound("No picture has this id.")
        self.set_header("Content-Type", "image/svg+xml")
        self.set_header("Cache-Control", f"public, max-age={YEAR}, immutable")
        self.set_header("Content-Security-Policy", "default-src 'none'")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.finish(picture)

    head = get


class OpenHandler(BaseHandler):
    """`/demo/open/{kind}/{id}`: redirects to a page of the stand-in that runs now."""

    def initialize(self, target: str, root: str) -> None:  # type: ignore[override]
        """Take the stand-in's address from the routes."""
        super().initialize(root)
        self._target = target

    def get(self, kind: str, identity: str) -> None:
        """Redirect to the stand-in, whose port may change at each start."""
        self.set_header("Cache-Control", "no-store")
        self.redirect(f"{self._target}/open/{kind}/{identity}", status=303)

    head = get
