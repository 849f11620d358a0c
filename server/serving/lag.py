"""The watchdog of what is served: a sync that is stored has to be served soon."""

from collections.abc import Awaitable, Callable

import structlog

from server.tasks import attempt

GRACE_SECONDS = 60.0  # how long a sync may be stored without being served
LONGEST_PAUSE = 600.0  # seconds between reloads; pauses begin with a minute and double

log = structlog.get_logger()


class ServingLag:
    """Compares the newest sync that is stored with the one that is served, at each `refresh`.

    `stored` and `served` give the numbers of these syncs, None while there is none. Numbers are
    compared and not times, which go back when a clock is put right. `reload` is tried when they
    have differed for a minute, and again with ever longer pauses. `timer` is in seconds.
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
        """How long a stored sync has been waiting to be served; 0 when the newest is served."""
        return 0.0 if self._since is None else max(self._timer() - self._since, 0.0)

    @property
    def is_long(self) -> bool:
        """Whether it has been waiting for over a minute."""
        return self.seconds > GRACE_SECONDS

    def refresh(self) -> None:
        """Compare; to be called when `stored` has been read from the database."""
        stored = self._stored()
        if stored is None or stored == self._served():
            if self.is_long:
                log.info("served_caught_up", seconds=round(self.seconds))
            self._since = None
        elif self._since is None:
            self._since, self._pause = self._timer(), GRACE_SECONDS
            self._reload_at = self._since + GRACE_SECONDS

    async def heal(self) -> None:
        """Reload everything if a sync has been waiting for too long, and say so."""
        if self._since is None or self._timer() <= self._reload_at:
            return
        log.error(
            "served_behind",
            seconds=round(self.seconds),
            stored=self._stored(),
            served=self._served(),
        )
        self._reload_at = self._timer() + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        await attempt(self._reload)
        self.refresh()
