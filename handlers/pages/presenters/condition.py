"""The condition of the server, and the one message about it that pages show. Pure."""

from datetime import datetime
from typing import Literal, NamedTuple

from handlers.pages.presenters.formatting import moment
from server.sync.status import Status

Kind = Literal[
    "unread", "idle", "waiting", "first_failed", "stale", "failed", "stuck", "partial", "fine"
]
RETRY = "Freshet will retry automatically; `manage.py doctor` explains what is wrong."
NO_RETRY = "Scheduled syncs are off; `manage.py doctor` explains what is wrong."


class Condition(NamedTuple):
    """A condition with its message; both parts are "" where pages show no message.

    `text` marks code by backticks.
    """

    kind: Kind
    heading: str = ""
    text: str = ""

    @property
    def empty(self) -> bool:
        """Whether pages have no releases to show yet."""
        return self.kind in ("unread", "idle", "waiting", "first_failed")


def condition_of(status: Status) -> Condition:
    """Return the most important condition that holds."""
    freshness, last = status.freshness, status.history
    retry = _outlook(status)
    failed_at = last.finished_at if last.outcome == "failed" else None
    if freshness.synced_at is None:
        return _before_the_first(status, failed_at, retry)
    if status.is_stale:
        since = f" since {moment(freshness.complete_at)}" if freshness.complete_at else " yet"
        text = f"This list may be out of date: no sync has completed{since}. {retry}"
        return Condition("stale", "", text)
    if failed_at is not None:
        return Condition("failed", "", f"The last sync failed ({moment(failed_at)}). {retry}")
    if freshness.new_at and status.is_stuck:
        since = moment(freshness.new_at)
        text = f"Syncs are complete, but Spotify has listed nothing new since {since}."
        return Condition("stuck", "", text)
    if freshness.partial:
        missed = "The last sync missed some pages of Spotify’s list."
        return Condition("partial", "", f"{missed} {retry}")
    return Condition("fine")


def _outlook(status: Status) -> str:
    """Return what happens next: Freshet waits until a pause of its calls ends, or tries again."""
    scheduled, until = status.interval > 0, status.paused_until
    if until is None:
        return RETRY if scheduled else NO_RETRY
    rest = (
        "; Freshet will continue automatically then" if scheduled else "; scheduled syncs are off"
    )
    return f"Calls to Spotify pause until {moment(until)}{rest}."


def _before_the_first(status: Status, failed_at: datetime | None, retry: str) -> Condition:
    if not status.is_loaded:
        text = "Releases appear here as soon as the database has answered."
        return Condition("unread", "Waiting for the database…", text)
    if failed_at is not None:
        text = f"It ended at {moment(failed_at)} without any releases. {retry}"
        return Condition("first_failed", "The first sync failed", text)
    if status.is_syncing:
        text = "They will appear here automatically. See Status for progress."
        return Condition("waiting", "Fetching the first releases…", text)
    if status.interval > 0:
        text = "The first sync has not started yet. See Status for when it will."
        return Condition("waiting", "No releases yet", text)
    text = "Scheduled syncs are off. Log in and choose “Sync now” on the status page."
    return Condition("idle", "No releases yet", text)
