"""How long background jobs wait, by a wall clock that may be put back. Pure."""

from collections.abc import Callable
from datetime import datetime, timedelta

MAX_PAUSE = timedelta(hours=48)


def has_passed(since: datetime | None, period: timedelta, now: datetime) -> bool:
    """Return whether a period has passed since a time, or there was no such time.

    A time in the future counts as passed: it is of a clock that has been put back since.
    """
    return since is None or not timedelta(0) <= now - since < period


class Pause:
    """A pause of a job, at most MAX_PAUSE; `now` is the wall clock."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._until: datetime | None = None

    @property
    def lasts(self) -> bool:
        """Whether the pause lasts; if more than MAX_PAUSE is left, the clock was put back."""
        if self._until is None:
            return False
        return timedelta(0) < self._until - self._now() <= MAX_PAUSE

    def start(self, length: timedelta) -> None:
        """Pause from now on, in place of an earlier pause."""
        self._until = self._now() + min(length, MAX_PAUSE)
