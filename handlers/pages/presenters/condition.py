"""The condition of what is served, and the one message about it that pages show. Pure."""

from datetime import datetime
from typing import Literal, NamedTuple

from handlers.pages.presenters.formatting import moment
from server.catalog.snapshot import Freshness, is_stuck
from server.storage.sync_runs import SyncHistory

Kind = Literal[
    "unread", "idle", "waiting", "first_failed", "stale", "failed", "stuck", "partial", "fine"
]
RETRY = "Freshet will retry automatically; `manage.py doctor` explains what is wrong."
NO_RETRY = "Scheduled syncs are off; `manage.py doctor` explains what is wrong."


class Condition(NamedTuple):
    """One of the kinds, a heading, and a text in which backticks mark code; "" for nothing to say.

    `empty` kinds have no releases to show yet.
    """

    kind: Kind
    heading: str = ""
    text: str = ""

    @property
    def empty(self) -> bool:
        """Whether nothing can be shown yet."""
        return self.kind in ("unread", "idle", "waiting", "first_failed")


def condition_of(
    freshness: Freshness | None, last: SyncHistory, *, stale: bool, running: bool, scheduled: bool
) -> Condition:
    """Return the condition that matters most of all that hold.

    `freshness` is None before anything was read from the database, `last` is what past syncs left;
    `stale` tells that no sync was complete for three intervals, `running` that a sync is under way,
    and `scheduled` that syncs start by themselves.
    """
    retry = RETRY if scheduled else NO_RETRY
    failed_at = last.finished_at if last.outcome == "failed" else None
    if freshness is None or freshness.synced_at is None:
        return _before_the_first(freshness, failed_at, retry, running=running, scheduled=scheduled)
    if stale:
        since = f" since {moment(freshness.complete_at)}" if freshness.complete_at else " yet"
        text = f"This list may be out of date: no sync was complete{since}. {retry}"
        return Condition("stale", "", text)
    if failed_at is not None:
        return Condition("failed", "", f"The last sync failed ({moment(failed_at)}). {retry}")
    if freshness.new_at and is_stuck(freshness.new_at, freshness.complete_at):
        since = moment(freshness.new_at)
        text = f"Syncs are complete, but Spotify has listed nothing new since {since}."
        return Condition("stuck", "", text)
    if freshness.partial:
        missed = "The last sync missed some pages of Spotify’s list."
        return Condition("partial", "", f"{missed} {retry}")
    return Condition("fine")


def _before_the_first(
    freshness: Freshness | None,
    failed_at: datetime | None,
    retry: str,
    *,
    running: bool,
    scheduled: bool,
) -> Condition:
    if freshness is None:
        text = "Releases appear here as soon as the database has answered."
        return Condition("unread", "Waiting for the database…", text)
    if failed_at is not None:
        text = f"It ended at {moment(failed_at)} without any releases. {retry}"
        return Condition("first_failed", "The first sync failed", text)
    if running:
        text = "They will appear here automatically. See Status for progress."
        return Condition("waiting", "Fetching the first releases…", text)
    if scheduled:
        text = "The first sync has not started yet. See Status for when it will."
        return Condition("waiting", "No releases yet", text)
    text = "Scheduled syncs are off. Log in and choose “Sync now” on the status page."
    return Condition("idle", "No releases yet", text)
