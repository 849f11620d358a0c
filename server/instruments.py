"""What is counted and timed while it happens, for Prometheus; summed over all processes.

Source: prometheus.github.io/client_python/multiprocess.
"""

import os
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, values
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from server.requests import Requests
from server.tasks import attempt_now
from server.vitals import Vitals

FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # the library's own variable
SYNC_SECONDS = (0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


def share(folder: Path, number: int) -> None:
    """Count in files of `folder`, as process `number` of those that do so; before all else.

    A process that takes the place of one that died has its number and goes on with its counts.
    """
    os.environ[FOLDER] = str(folder)
    values.ValueClass = values.MultiProcessValue(lambda: number)  # type: ignore[no-untyped-call]


def forget(folder: Path, number: int) -> None:
    """Process `number` has died: its counts stay in `folder`, but how it is, nobody tells."""
    mark_process_dead(number, str(folder))  # type: ignore[no-untyped-call]


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
    """All of them, made once, for process `process`. `scraped` is what Prometheus is shown."""

    def __init__(self, process: int = 1) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        registry = CollectorRegistry()
        self.requests = Requests(registry)
        self.cache = CacheTally(registry)
        self.vitals = Vitals(registry, process)
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
        self._releases = Counter(
            "freshet_releases",
            "Releases that syncs have added, updated, or found gone from the list.",
            ["change"],
            registry=registry,
        )
        self._calls = Counter(
            "freshet_spotify_calls",
            "Calls to an endpoint of Spotify's that were answered, by status.",
            ["bucket", "status"],
            registry=registry,
        )
        for change in ("added", "updated", "gone"):
            self._releases.labels(change)
        for outcome in ("complete", "partial", "failed"):
            self._outcomes.labels(outcome)
        for grant in ("refresh_token", "client_credentials"):
            self._renewals.labels(grant)
        self.scraped = registry
        if FOLDER in os.environ:
            self.scraped = CollectorRegistry()
            MultiProcessCollector(self.scraped)  # type: ignore[no-untyped-call]

    def count_sync(self, outcome: str, seconds: float, **releases: int) -> None:
        """A sync has ended, which has `added`, `updated` and found `gone` so many releases."""
        self._outcomes.labels(outcome).inc()
        self._syncs.labels(outcome).observe(seconds)
        for change, count in releases.items():
            self._releases.labels(change).inc(count)

    def call(self, bucket: str, status: int) -> None:
        """Spotify has answered a call."""
        attempt_now(lambda: self._calls.labels(bucket, str(status)).inc(), None)

    def renewal(self, grant: str) -> None:
        """Spotify has given a token."""
        attempt_now(lambda: self._renewals.labels(grant).inc(), None)
