"""What is counted and timed while it happens, for Prometheus; summed over all processes."""

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.multiprocess import MultiProcessCollector

from server.observability.count_files import CountFiles
from server.observability.http_metrics import Requests
from server.observability.process_metrics import ProcessGauges
from server.tasks import attempt_now

CLOSED = ("slow", "memory", "descriptors")  # see `server.http.connections.unsent`
SYNC_SECONDS = (0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


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
    """All of them, made once, for process `process`. `scraped` is what Prometheus is shown.

    With `files` those of all processes that count in the same folder are shown.
    """

    def __init__(self, process: int = 1, files: CountFiles | None = None) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        registry = CollectorRegistry()
        self.requests = Requests(registry)
        self.cache = CacheTally(registry)
        self.process_gauges = ProcessGauges(registry, process)
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
        self._closed = Counter(
            "freshet_connections_closed",
            "Connections that were closed while they waited, by reason.",
            ["reason"],
            registry=registry,
        )
        for reason in CLOSED:
            self._closed.labels(reason)
        for change in ("added", "updated", "gone"):
            self._releases.labels(change)
        for outcome in ("complete", "partial", "failed"):
            self._outcomes.labels(outcome)
        for grant in ("refresh_token", "client_credentials"):
            self._renewals.labels(grant)
        self.scraped = registry
        self._files = files
        if files is not None:
            self.scraped = CollectorRegistry()
            MultiProcessCollector(self.scraped)  # type: ignore[no-untyped-call]
            files.keep()

    def keep_files(self) -> None:
        """Make the files again that all processes count in, if they have been removed."""
        if self._files is not None:
            self._files.keep()

    def count_sync(self, outcome: str, seconds: float, **releases: int) -> None:
        """A sync has ended, which has `added`, `updated` and found `gone` so many releases."""
        self._outcomes.labels(outcome).inc()
        self._syncs.labels(outcome).observe(seconds)
        for change, count in releases.items():
            self._releases.labels(change).inc(count)

    def call(self, bucket: str, status: int) -> None:
        """Spotify has answered a call."""
        attempt_now(lambda: self._calls.labels(bucket, str(status)).inc(), None)

    def closed(self, reason: str) -> None:
        """Count a connection that was closed for one of the reasons in CLOSED."""
        attempt_now(lambda: self._closed.labels(reason).inc(), None)

    def renewal(self, grant: str) -> None:
        """Spotify has given a token."""
        attempt_now(lambda: self._renewals.labels(grant).inc(), None)
