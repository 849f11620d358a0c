"""The alarm for a feed that is stuck: syncs complete, and yet nothing new comes."""

from datetime import datetime, timedelta

import structlog

QUIET = timedelta(hours=72)  # Spotify lists new releases every Friday, and on most days
REMIND = timedelta(hours=24)

log = structlog.get_logger()


def is_stuck(new_at: datetime | None, complete_at: datetime | None) -> bool:
    """Whether complete syncs have brought nothing new since `new_at` for too long."""
    return new_at is not None and complete_at is not None and complete_at - new_at >= QUIET


class StuckFeed:
    """Logs `feed_stuck` when that begins, and again once a day."""

    def __init__(self) -> None:
        self._told_at: datetime | None = None

    def look(self, new_at: datetime | None, now: datetime, *, complete: bool) -> None:
        """After each sync: when it was that one last brought something new."""
        if not complete or new_at is None or not is_stuck(new_at, now):
            return
        if self._told_at is None or not timedelta(0) <= now - self._told_at < REMIND:
            self._told_at = now
            hours = round((now - new_at).total_seconds() / 3600)
            log.warning("feed_stuck", new_at=new_at, hours=hours)
