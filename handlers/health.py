"""`/healthz` and `/readyz`: for supervisors and load balancers."""

from handlers.base import BaseHandler
from server.catalog.cache import PayloadCache
from server.readiness import DatabaseProbe


class HealthHandler(BaseHandler):
    """Alive: the loop turns. Touches nothing else."""

    shared = False

    def get(self) -> None:
        """Say so."""
        self.write_json({"status": "ok"})

    head = get


class ReadyHandler(BaseHandler):
    """Ready: the database answers, its schema is current, and there is something to serve."""

    shared = False

    def initialize(  # type: ignore[override]
        self, probe: DatabaseProbe, cache: PayloadCache, root: str
    ) -> None:
        """Take what is asked from the wiring."""
        super().initialize(root)
        self._probe = probe
        self._cache = cache

    async def get(self) -> None:
        """200, or 503 with the reasons."""
        fault = await self._probe.fault()
        reasons = [fault] if fault else []
        snapshot = self._cache.snapshot
        if snapshot is None or snapshot.freshness.synced_at is None:
            reasons.append("no sync has succeeded yet")
        status = "unready" if reasons else "ready"
        self.write_json({"status": status, "reasons": reasons}, 503 if reasons else 200)

    head = get
