"""When the next sync is due. Pure but for random jitter."""

import random
from collections.abc import Callable

RETRY_SECONDS = 30.0  # after a first failure; doubled after each further one
BUSY_SECONDS = 5.0  # between attempts while another process syncs
JITTER = 0.05  # of the wait, so that hosts do not sync in step


class Schedule:
    """The time of the next sync: at once, then `interval` seconds after each complete sync.

    The quota may stretch the interval. After a sync that was not complete the next one is due
    sooner, but never before the end of a pause that Spotify asked for. `timer` is a monotonic clock
    in seconds.
    """

    def __init__(self, interval: float, timer: Callable[[], float]) -> None:
        self._configured = interval
        self._timer = timer
        self._due_at = self._paused_until = timer()
        self.interval = interval
        self.failures = 0

    def is_due(self) -> bool:
        """Whether a sync is due now."""
        return self.seconds_left() <= 0

    def seconds_left(self) -> float:
        """Return the seconds until the next sync is due, negative when it is overdue."""
        return max(self._due_at, self._paused_until) - self._timer()

    def plan(self, *, failed: bool, spacing: float = 0, room_in: float = 0) -> None:
        """Set the time of the next sync, after one has ended.

        `spacing` is the least number of seconds that the quota demands between syncs, `room_in`
        the seconds until it allows another one at all.
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
        """Lengthen the interval to the spacing that the quota demands, in seconds."""
        self.interval = max(self._configured, spacing)

    def resume(self, age: float, *, failed: bool, room_in: float = 0) -> None:
        """Continue after a sync of another process, which ended `age` seconds ago."""
        wait = RETRY_SECONDS if failed else self.interval
        self._due_at = self._timer() + max(wait - max(age, 0), room_in, 0)

    def pause(self, seconds: float) -> None:
        """Start no sync for `seconds`; Spotify prolongs a pause that is not respected."""
        self._paused_until = max(self._paused_until, self._timer() + seconds)
