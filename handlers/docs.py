"""`/api/openapi.json`: what this API is, for programs."""

from handlers.base import BaseHandler


class OpenApiHandler(BaseHandler):
    """The description of the API, which changes with the program only."""

    def initialize(self, document: bytes) -> None:
        """Take the ready document from the wiring."""
        self._document = document

    def get(self) -> None:
        """Send it."""
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.set_header("Cache-Control", "public, max-age=3600")
        self.set_header("Access-Control-Allow-Origin", "*")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.finish(self._document)

    head = get
