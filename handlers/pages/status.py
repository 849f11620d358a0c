"""`/status`: what operators want to see, as a page; and a sync now for who is logged in."""

from functools import partial
from typing import Any

from handlers.pages.base import SCRIPTED
from handlers.pages.condition import ConditionHandler
from handlers.pages.presenters import bar_chart
from handlers.pages.presenters.formatting import date_words, day_words, duration, grouped
from server.catalog.snapshot import freshness_of
from server.login.errors import NotLoggedIn
from server.spotify.types import LADDER
from server.storage import sync_runs
from server.tasks import attempt_now

DONE = {"sync": "Sync started. The results appear here when it has finished."}
SOURCES = {
    "new-releases": "Spotify’s list of new releases",
    "search": "Spotify’s search for new albums",
}


class OverviewHandler(ConditionHandler):
    """All from memory, but for a browser with a session."""

    async def get(self) -> None:
        """Send the page; a part that raises is logged, and shown as if nothing was known of it."""
        done = DONE.get(self.take_done() or "")
        visitor, freshness = await self.visitor(), freshness_of(self._cache.snapshot)
        self.send_page(
            "status.html",
            policy=SCRIPTED,
            title="Status",
            done=done if visitor else None,
            freshness=freshness,
            source=SOURCES.get(freshness.source or ""),
            names=SOURCES,
            verdicts={name: self._upstream_status.history.verdicts.get(name) for name in LADDER},
            markets=self._upstream_status.markets,
            condition=self.condition(),
            last=self._upstream_status.history,
            next_at=attempt_now(self._syncer.next_at, None),
            interval=self._syncer.schedule.interval,
            running=self.is_syncing(),
            since=self._syncer.running_since,
            buckets=attempt_now(
                partial(self._syncer.buckets, self._upstream_status, freshness.source), ()
            ),
            now=self._upstream_status.now(),
            number=grouped,
            date_words=date_words,
            day_words=day_words,
            duration=duration,
            **attempt_now(self._history, {"remembered": False}),
            **self.account(visitor),
        )

    head = get

    async def post(self) -> None:
        """Start a sync, as `POST /api/sync/` does, and show this page again."""
        self.refuse_foreign_posts()
        if await self._login_service.visitor(self.session_token) is None:
            raise NotLoggedIn
        await self._syncer.begin()
        self.go("/status", done="sync")

    def _history(self) -> dict[str, Any]:
        """The last thirty days, to be drawn and to be read."""
        days = sync_runs.fill_days(
            self._upstream_status.days or (), self._upstream_status.now().date()
        )
        added = bar_chart.draw([day.added for day in days])
        syncs = bar_chart.draw([day.syncs for day in days], [day.failed for day in days])
        return {
            "remembered": self._upstream_status.days is not None,
            "days": days,
            "charts": (
                ("New releases per day", "added", added, sum(day.added for day in days)),
                ("Syncs per day", "syncs", syncs, sum(day.syncs for day in days)),
            ),
            "view": f"0 0 {bar_chart.WIDTH} {bar_chart.HEIGHT}",
            "ground": bar_chart.HEIGHT,
        }
