"""Watchdog of the served data: a stored sync has to be served soon."""

from collections.abc import Awaitable, Callable

import structlog

from server.tasks import attempt

GRACE_SECONDS = 60.0  # how long a sync may be stored without being served
MAX_PAUSE = 600.0  # seconds between reloads; pauses start at a minute and double

log = structlog.get_logger()


class ServingLag:
    """Compares the newest stored sync with the served one, at each `refresh`.

    `stored` and `served` return the ids of these syncs, None before the first. Ids are compared
    rather than times, which go back when a clock is corrected. `heal` calls `reload` once they have
    differed for a minute, and again after ever longer pauses. `timer` is in seconds.
    """

    def __init__(
        self,
        stored: Callable[[], int | None],
        served: Callable[[], int | None],
        reload: Callable[[], Awaitable[None]],
        timer: Callable[[], float],
    ) -> None:
        self._stored = stored
        self._served = served
        self._reload = reload
        self._timer = timer
        self._since: float | None = None
        self._pause = GRACE_SECONDS
        self._reload_at = 0.0

    @property
    def seconds(self) -> float:
        """Seconds for which a stored sync has not been served; 0 if the newest is served."""
        return 0.0 if self._since is None else max(self._timer() - self._since, 0.0)

    @property
    def is_long(self) -> bool:
        """Whether that is more than a minute."""
        return self.seconds > GRACE_SECONDS

    def refresh(self) -> None:
        """Compare the two ids; call it whenever `stored` has been read from the database."""
        stored = self._stored()
        if stored is None or stored == self._served():
            if self.is_long:
                log.info("served_caught_up", seconds=round(self.seconds))
            self._since = None
        elif self._since is None:
            self._since, self._pause = self._timer(), GRACE_SECONDS
            self._reload_at = self._since + GRACE_SECONDS

    async def heal(self) -> None:
        """Log `served_behind` and reload everything if a stored sync is not served in time."""
        if self._since is None or self._timer() <= self._reload_at:
            return
        log.error(
            "served_behind",
            seconds=round(self.seconds),
            stored=self._stored(),
            served=self._served(),
        )
        self._reload_at = self._timer() + self._pause
        self._pause = min(2 * self._pause, MAX_PAUSE)
        await attempt(self._reload)
        self.refresh()
