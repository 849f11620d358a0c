"""What is counted and timed while it happens, for Prometheus; summed over all processes.

Source: prometheus.github.io/client_python/multiprocess.
"""

import os
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, values
from prometheus_client.multiprocess import MultiProcessCollector

FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # the library's own variable
REQUEST_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
SYNC_SECONDS = (0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


def share(folder: Path, number: int) -> None:
    """Count in files of `folder`, as process `number` of those that do so; before all else.

    A process that takes the place of one that died has its number and goes on with its counts.
    """
    os.environ[FOLDER] = str(folder)
    values.ValueClass = values.MultiProcessValue(lambda: number)  # type: ignore[no-untyped-call]


class Requests:
    """Answered requests. Routes, methods and reasons have to be few; whoever counts sees to that.

    `by` says who answered, and `seconds` are those of handlers.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._counter = Counter(
            "freshet_http_requests",
            "Requests that were answered.",
            ["route", "method", "status", "by"],
            registry=registry,
        )
        self._seconds = Histogram(
            "freshet_http_request_seconds",
            "Seconds that handlers took for an answer.",
            ["route"],
            buckets=REQUEST_SECONDS,
            registry=registry,
        )
        self._counters: dict[tuple[str, str, int, str], Counter] = {}
        self._timers: dict[str, Histogram] = {}

    def add(self, route: str, method: str, status: int, by: str, count: int = 1) -> None:
        """Count one request, or many alike."""
        key = route, method, status, by
        counter = self._counters.get(key)
        if counter is None:
            counter = self._counter.labels(route, method, str(status), by)
            self._counters[key] = counter
        counter.inc(count)

    def time(self, route: str, seconds: float) -> None:
        """Note how long a handler took."""
        timer = self._timers.get(route)
        if timer is None:
            timer = self._timers[route] = self._seconds.labels(route)
        timer.observe(seconds)


class CacheTally:
    """Answers that were ready, that were not, and payloads that were made."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.hits = Counter("freshet_cache_hits", "Answers that were ready.", registry=registry)
        self.misses = Counter(
            "freshet_cache_misses", "Answers that had to be made first.", registry=registry
        )
        self.builds = Counter(
            "freshet_cache_builds", "Answers made, also those made ahead.", registry=registry
        )


class Instruments:
    """All of them, made once. `scraped` is what Prometheus is to be shown."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        registry = CollectorRegistry()
        self.requests = Requests(registry)
        self.cache = CacheTally(registry)
        self._syncs = Histogram(
            "freshet_sync_seconds",
            "Seconds that syncs took, by how they ended.",
            ["outcome"],
            buckets=SYNC_SECONDS,
            registry=registry,
        )
        self._outcomes = Counter(
            "freshet_syncs", "Syncs, by how they ended.", ["outcome"], registry=registry
        )
        self._renewals = Counter(
            "freshet_token_renewals",
            "Access tokens that Spotify gave.",
            ["grant"],
            registry=registry,
        )
        for outcome in ("complete", "partial", "failed"):
            self._outcomes.labels(outcome)
        for grant in ("refresh_token", "client_credentials"):
            self._renewals.labels(grant)
        self.scraped = registry
        if FOLDER in os.environ:
            self.scraped = CollectorRegistry()
            MultiProcessCollector(self.scraped)  # type: ignore[no-untyped-call]

    def count_sync(self, outcome: str, seconds: float) -> None:
        """A sync has ended."""
        self._outcomes.labels(outcome).inc()
        self._syncs.labels(outcome).observe(seconds)

    def count_renewal(self, grant: str) -> None:
        """Spotify has given a token."""
        self._renewals.labels(grant).inc()
