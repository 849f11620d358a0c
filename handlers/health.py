"""`/healthz` and `/readyz`: for supervisors and load balancers."""

from handlers.base import BaseHandler
from handlers.pages.presenters.formatting import duration
from server.database.readiness import DatabaseProbe
from server.serving.cache import PayloadCache
from server.serving.lag import ServingLag


class HealthHandler(BaseHandler):
    """Alive: the loop turns. Touches nothing else."""

    shared = False

    def get(self) -> None:
        """Say so."""
        self.write_json({"status": "ok"})

    head = get


class ReadyHandler(BaseHandler):
    """Ready: the database answers, its schema is current, and the newest sync is served."""

    shared = False

    def initialize(  # type: ignore[override]
        self, probe: DatabaseProbe, cache: PayloadCache, lag: ServingLag, root: str
    ) -> None:
        """Take what is asked from the wiring."""
        super().initialize(root)
        self._probe = probe
        self._cache = cache
        self._lag = lag

    async def get(self) -> None:
        """200, or 503 with the reasons."""
        fault = await self._probe.fault()
        reasons = [fault] if fault else []
        snapshot = self._cache.snapshot
        if self._lag.is_long:
            waiting = duration(self._lag.seconds)
            reasons.append(f"a newer sync has been stored for {waiting} and is not served")
        elif snapshot is None or snapshot.freshness.synced_at is None:
            reasons.append("no sync has succeeded yet")
        status = "unready" if reasons else "ready"
        self.write_json({"status": status, "reasons": reasons}, 503 if reasons else 200)

    head = get
