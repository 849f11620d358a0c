"""When the next sync is due. Pure but for the dice."""

import random
from collections.abc import Callable

RETRY_SECONDS = 30.0  # after a first failure; twice as long after each further one
BUSY_SECONDS = 5.0  # after so long it is tried again while another process syncs
JITTER = 0.05  # of the wait, so that hosts do not march in step


class Schedule:
    """Due at once, then `interval` seconds after each complete sync, or later if need be.

    After another one it is due sooner, but never before the end of a pause that Spotify has asked
    for. `timer` is a monotonic clock in seconds.
    """

    def __init__(self, interval: float, timer: Callable[[], float]) -> None:
        self._configured = interval
        self._timer = timer
        self._due_at = self._paused_until = timer()
        self.interval = interval
        self.failures = 0

    def is_due(self) -> bool:
        """Whether it is time for a sync."""
        return self.seconds_left() <= 0

    def seconds_left(self) -> float:
        """Seconds until the next sync is due."""
        return max(self._due_at, self._paused_until) - self._timer()

    def plan(self, *, failed: bool, spacing: float = 0, room_in: float = 0) -> None:
        """Set the time of the next sync, after one has ended.

        `spacing` is the least distance, in seconds, at which the quota lets syncs follow each
        other, `room_in` the seconds until it lets another one at all.
        """
        self.stretch(spacing)
        self.failures = self.failures + 1 if failed else 0
        wait = self._configured * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret
        wait = max(wait, spacing)
        if failed:
            haste = RETRY_SECONDS * 2 ** min(self.failures - 1, 16)
            wait = min(wait, haste * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311
        self._due_at = self._timer() + max(wait, room_in)

    def stretch(self, spacing: float) -> None:
        """Take note of the distance that the quota asks for."""
        self.interval = max(self._configured, spacing)

    def resume(self, age: float, *, failed: bool, room_in: float = 0) -> None:
        """Go on where another process stopped, whose last sync ended `age` seconds ago."""
        wait = RETRY_SECONDS if failed else self.interval
        self._due_at = self._timer() + max(wait - max(age, 0), room_in, 0)

    def pause(self, seconds: float) -> None:
        """No sync for so long, whatever is planned; asking on would prolong it."""
        self._paused_until = max(self._paused_until, self._timer() + seconds)
