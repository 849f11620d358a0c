"""When the next sync is due. Pure but for the dice."""

import random
from collections.abc import Callable

RETRY_SECONDS = 30.0  # after a first failure; twice as long after each further one
JITTER = 0.05  # of the wait, so that hosts do not march in step


class Schedule:
    """Due at once, then `interval` seconds after each success.

    After a failure a sync is due sooner, but never before the end of a pause that Spotify has asked
    for. `timer` is a monotonic clock in seconds.
    """

    def __init__(self, interval: float, timer: Callable[[], float]) -> None:
        self._interval = interval
        self._timer = timer
        self._failures = 0
        self._due_at = self._paused_until = timer()

    def is_due(self) -> bool:
        """Whether it is time for a sync."""
        return self._timer() >= max(self._due_at, self._paused_until)

    def plan(self, *, failed: bool) -> None:
        """Set the time of the next sync, after one has ended."""
        self._failures = self._failures + 1 if failed else 0
        wait = self._interval
        if failed:
            wait = min(wait, RETRY_SECONDS * 2 ** min(self._failures - 1, 16))
        wait *= random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - nothing secret
        self._due_at = self._timer() + wait

    def pause(self, seconds: float) -> None:
        """No sync for so long, whatever is planned; asking on would prolong it."""
        self._paused_until = max(self._paused_until, self._timer() + seconds)
