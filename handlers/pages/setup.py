"""`/setup`, in the demo only: the steps to real releases, with this server's redirect URI."""

from handlers.pages.base import PageHandler, Pages
from server.config.getting_started import steps

TITLE = "From the demo to the real releases"


class SetupHandler(PageHandler):
    """Shows the steps, which are public; reads no database."""

    def initialize(self, pages: Pages, redirect_uri: str) -> None:  # type: ignore[override]
        """Take the redirect URI from the routes."""
        super().initialize(pages)
        self._redirect_uri = redirect_uri

    def get(self) -> None:
        """Send the page."""
        self.send_page("setup.html", title=TITLE, steps=steps(self._redirect_uri))

    head = get
