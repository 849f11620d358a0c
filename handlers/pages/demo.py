"""What only the demo has: its covers, and the way to the pages of its stand-in for Spotify."""

from collections.abc import Callable

from handlers.base import BaseHandler
from server.errors import NothingThere

YEAR = 31_536_000  # seconds


class CoverHandler(BaseHandler):
    """`/demo/image/{id}`: a cover or a portrait, which its id decides alone."""

    def initialize(self, draw: Callable[[str], bytes | None], root: str) -> None:  # type: ignore[override]
        """Take from the wiring what draws an SVG picture; it returns None for unknown ids."""
        super().initialize(root)
        self._draw = draw

    def get(self, image_id: str) -> None:
        """Send the picture. Raises NothingThere for an id of no known size."""
        picture = self._draw(image_id)
        if picture is None:
            raise NothingThere("No picture has this id.")
        self.set_header("Content-Type", "image/svg+xml")
        self.set_header("Cache-Control", f"public, max-age={YEAR}, immutable")
        self.set_header("Content-Security-Policy", "default-src 'none'")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.finish(picture)

    head = get


class OpenHandler(BaseHandler):
    """`/demo/open/{kind}/{id}`: the page of a release or an artist, at the stand-in of today."""

    def initialize(self, target: str, root: str) -> None:  # type: ignore[override]
        """Take the stand-in's address from the wiring."""
        super().initialize(root)
        self._target = target

    def get(self, kind: str, identity: str) -> None:
        """Send the browser there: the stand-in's port may differ after each start."""
        self.set_header("Cache-Control", "no-store")
        self.redirect(f"{self._target}/open/{kind}/{identity}", status=303)

    head = get
