"""The alarm for a feed that is stuck: syncs complete, and yet nothing new comes. Pure."""

from datetime import datetime, timedelta

QUIET = timedelta(hours=72)  # Spotify lists new releases every Friday, and on most days


def is_stuck(new_at: datetime | None, complete_at: datetime | None) -> bool:
    """Whether complete syncs have brought nothing new since `new_at` for too long."""
    return new_at is not None and complete_at is not None and complete_at - new_at >= QUIET
