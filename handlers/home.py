"""`/`: what this server is doing, and the login."""

from datetime import datetime

from handlers.pages import PageHandler, Pages
from server.catalog.alarm import is_stuck
from server.catalog.cache import PayloadCache
from server.catalog.standing import Standing
from server.errors import DatabaseError
from server.login.desk import LoginDesk
from server.login.store import Visitor
from server.login.watch import ConsentWatch

DONE = {
    "logged-out": "You are logged out.",
    "disconnected": "Disconnected: your tokens and your account’s data are deleted.",
}


class HomeHandler(PageHandler):
    """Public; reads the database only for a browser that brings a session."""

    def initialize(  # type: ignore[override]
        self,
        pages: Pages,
        cache: PayloadCache,
        desk: LoginDesk,
        watch: ConsentWatch,
        standing: Standing,
        owned: bool,
    ) -> None:
        """Take what is shown from the wiring; `owned`: the first to log in owns the server."""
        super().initialize(pages)
        self._cache, self._desk, self._watch, self._owned = cache, desk, watch, owned
        self._standing = standing

    async def get(self) -> None:
        """Send the page."""
        snapshot, visitor = self._cache.snapshot, await self._visitor()
        freshness = snapshot.freshness if snapshot else None
        self.send_page(
            "home.html",
            title="Freshet",
            freshness=freshness,
            stale=snapshot is not None and self._cache.is_stale(snapshot),
            stuck=freshness is not None and is_stuck(freshness.new_at, freshness.complete_at),
            last=self._standing.memory,
            known=self._watch.known,
            consent=self._watch.consent,
            days_left=self._watch.days_left(),
            visitor=visitor,
            action=self._action(visitor),
            owned=self._owned,
            done=None if visitor else DONE.get(self.get_query_argument("done", "")),
            moment=moment,
        )

    head = get

    def _action(self, visitor: Visitor | None) -> str:
        """What the button to Spotify says."""
        if visitor is None:
            return "Log in with Spotify"
        consent = self._watch.consent
        return "Renew consent" if consent and consent.state == "active" else "Log in again"

    async def _visitor(self) -> Visitor | None:
        """Who is looking; nobody, as long as that cannot be asked."""
        try:
            return await self._desk.visitor(self.session_token)
        except DatabaseError:
            return None


def moment(time: datetime) -> str:
    """A time for people, in UTC: 20 November 2026, 05:00 UTC."""
    return f"{time.day} {time:%B %Y, %H:%M} UTC"
