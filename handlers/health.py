"""`/healthz` and `/readyz`: for supervisors and load balancers."""

from handlers.base import BaseHandler
from handlers.pages.presenters.formatting import duration
from server.database.readiness import DatabaseProbe
from server.serving.cache import PayloadCache
from server.serving.lag import ServingLag


class HealthHandler(BaseHandler):
    """Shows that the process runs its event loop; checks nothing else."""

    shared = False

    def get(self) -> None:
        """Answer with 200."""
        self.write_json({"status": "ok"})

    head = get


class ReadyHandler(BaseHandler):
    """Shows whether the database answers, its schema is current and the newest sync is served."""

    shared = False

    def initialize(  # type: ignore[override]
        self, probe: DatabaseProbe, cache: PayloadCache, lag: ServingLag, root: str
    ) -> None:
        """Take the components to check from the routes."""
        super().initialize(root)
        self._probe = probe
        self._cache = cache
        self._lag = lag

    async def get(self) -> None:
        """Answer with 200, or with 503 and the reasons."""
        fault = await self._probe.fault()
        reasons = [fault] if fault else []
        snapshot = self._cache.snapshot
        if self._lag.is_long:
            waiting = duration(self._lag.seconds)
            reasons.append(f"the newest sync was stored {waiting} ago and is not served yet")
        elif snapshot is None or snapshot.freshness.synced_at is None:
            reasons.append("no sync has succeeded yet")
        status = "unready" if reasons else "ready"
        self.write_json({"status": status, "reasons": reasons}, 503 if reasons else 200)

    head = get
