"""`/status`: the state of the server as a page, where logged-in users can start a sync."""

from functools import partial
from typing import Any

from handlers.pages.account import AccountHandler
from handlers.pages.base import SCRIPTED
from handlers.pages.presenters import bar_chart
from handlers.pages.presenters.condition import condition_of
from handlers.pages.presenters.formatting import date_words, day_words, duration, grouped
from server.login.errors import NotLoggedIn
from server.storage import sync_runs
from server.sync.status import Status
from server.sync.syncer import Syncer
from server.tasks import attempt_now

DONE = {"sync": "Sync started. The results appear here when it finishes."}
SOURCES = {
    "new-releases": "Spotify’s list of new releases",
    "search": "Spotify’s search for new albums",
}


class StatusPageHandler(AccountHandler):
    """Answers from memory; reads the database only for browsers that have a session."""

    def initialize(self, syncer: Syncer, **account: Any) -> None:  # type: ignore[override]
        """Take the syncer, which starts syncs, from the routes."""
        super().initialize(**account)
        self._syncer = syncer

    async def get(self) -> None:
        """Send the page."""
        done = DONE.get(self.pop_done() or "")
        visitor = await self.visitor()
        status = self._read_status()
        self.send_page(
            "status.html",
            policy=SCRIPTED,
            title="Status",
            done=done if visitor else None,
            state=status,
            listed=status.list_condition,
            freshness=status.freshness,
            last=status.history,
            source=SOURCES.get(status.freshness.source or ""),
            names=SOURCES,
            condition=condition_of(status),
            number=grouped,
            date_words=date_words,
            day_words=day_words,
            duration=duration,
            **attempt_now(partial(_charts, status), {"remembered": False}),
            **self.account(visitor, status),
        )

    head = get

    async def post(self) -> None:
        """Start a sync like `POST /api/sync/`, and redirect to this page.

        Raises ForeignOrigin, NotLoggedIn, SyncRefused, SyncPaused or a DatabaseError.
        """
        self.refuse_foreign_posts()
        if await self._login_service.visitor(self.session_token) is None:
            raise NotLoggedIn
        await self._syncer.start()
        self.redirect_to("/status", done="sync")


def _charts(status: Status) -> dict[str, Any]:
    """Return the last thirty days as charts and as table rows."""
    days = sync_runs.fill_days(status.days or (), status.now.date())
    added = bar_chart.draw([day.added for day in days])
    syncs = bar_chart.draw([day.syncs for day in days], [day.failed for day in days])
    return {
        "remembered": status.days is not None,
        "days": days,
        "charts": (
            ("New releases per day", "added", added, sum(day.added for day in days)),
            ("Syncs per day", "syncs", syncs, sum(day.syncs for day in days)),
        ),
        "view": f"0 0 {bar_chart.WIDTH} {bar_chart.HEIGHT}",
        "ground": bar_chart.HEIGHT,
    }
