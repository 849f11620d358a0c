"""`/api/status` and `/metrics`: what operators watch, for people and for Prometheus."""

from typing import Any

from handlers.base import BaseHandler
from server import __version__
from server.catalog.cache import PayloadCache
from server.catalog.snapshot import Freshness, utc
from server.login.watch import ConsentWatch
from server.metrics import CONTENT_TYPE, Metrics


class StatusHandler(BaseHandler):
    """The state of this server, from memory."""

    def initialize(self, cache: PayloadCache, watch: ConsentWatch) -> None:
        """Take what is told from the wiring."""
        self._cache = cache
        self._watch = watch

    def get(self) -> None:
        """Send it; its shape is `schemas.Status`."""
        snapshot = self._cache.snapshot
        freshness = snapshot.freshness if snapshot else Freshness()
        self.set_header("Access-Control-Allow-Origin", "*")
        self.write_json(
            {
                "version": __version__,
                "as_of": utc(freshness.as_of),
                "last_sync_at": utc(freshness.synced_at),
                "last_complete_sync_at": utc(freshness.complete_at),
                "source": freshness.source,
                "stale": snapshot is not None and self._cache.is_stale(snapshot),
                "partial": freshness.partial,
                "login": self._login(),
            }
        )

    head = get

    def _login(self) -> dict[str, Any]:
        consent = self._watch.consent
        return {
            "state": consent.state if consent else "none",
            "authorized_at": utc(consent.authorized_at) if consent else None,
            "reconsent_by": utc(consent.ends_at) if consent else None,
            "days_to_reconsent": self._watch.days_left(),
        }


class MetricsHandler(BaseHandler):
    """The instruments, in Prometheus' text format."""

    def initialize(self, metrics: Metrics) -> None:
        """Take the instruments from the wiring."""
        self._metrics = metrics

    def get(self) -> None:
        """Read them all."""
        self.set_header("Content-Type", CONTENT_TYPE)
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.finish(self._metrics.text())

    head = get
