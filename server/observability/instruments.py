"""Counters and histograms for Prometheus, summed over all processes."""

from itertools import product

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.multiprocess import MultiProcessCollector

from server.observability.count_files import CountFiles
from server.observability.http_metrics import RequestMetrics
from server.observability.process_metrics import ProcessGauges
from server.tasks import attempt_now

CLOSED = ("slow", "memory", "descriptors")  # see `server.http.connections.backlog`
CHECK_WAYS, CHECK_OUTCOMES = ("albums", "search"), ("changed", "unchanged", "failed")
SYNC_SECONDS = (0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class CacheTally:
    """Hits and misses of the cache, and responses built."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.hits = Counter(
            "freshet_cache_hits", "Responses found in the cache.", registry=registry
        )
        self.misses = Counter(
            "freshet_cache_misses", "Responses not found in the cache.", registry=registry
        )
        self.builds = Counter(
            "freshet_cache_builds",
            "Responses built, also in advance.",
            registry=registry,
        )


class Instruments:
    """All instruments of the process with number `process`; `scraped` is the registry to expose.

    With `files`, that registry covers all processes that count in the same folder.
    """

    def __init__(self, process: int = 1, files: CountFiles | None = None) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        registry = CollectorRegistry()
        self.requests = RequestMetrics(registry)
        self.cache = CacheTally(registry)
        self.process_gauges = ProcessGauges(registry, process)
        self._syncs = Histogram(
            "freshet_sync_seconds",
            "Duration of syncs in seconds, by outcome.",
            ["outcome"],
            buckets=SYNC_SECONDS,
            registry=registry,
        )
        self._outcomes = Counter(
            "freshet_syncs", "Syncs, by outcome.", ["outcome"], registry=registry
        )
        self._renewals = Counter(
            "freshet_token_renewals",
            "Access tokens issued by Spotify.",
            ["grant"],
            registry=registry,
        )
        self._releases = Counter(
            "freshet_releases",
            "Releases that syncs added, updated, or found gone from Spotify's list.",
            ["change"],
            registry=registry,
        )
        self._checks = Counter(
            "freshet_artist_checks",
            "Checks of wanted artists for new releases, by way and outcome.",
            ["way", "outcome"],
            registry=registry,
        )
        self._calls = Counter(
            "freshet_spotify_calls",
            "Calls to an endpoint of Spotify that got a response, by status.",
            ["bucket", "status"],
            registry=registry,
        )
        self._closed = Counter(
            "freshet_connections_closed",
            "Waiting connections that the server closed, by reason.",
            ["reason"],
            registry=registry,
        )
        self._start_at_zero()
        self.scraped = registry
        self._files = files
        if files is not None:
            self.scraped = CollectorRegistry()
            MultiProcessCollector(self.scraped)  # type: ignore[no-untyped-call]
            files.restore()

    def _start_at_zero(self) -> None:
        """Make every known combination of labels appear before it is first counted."""
        for reason in CLOSED:
            self._closed.labels(reason)
        for way, outcome in product(CHECK_WAYS, CHECK_OUTCOMES):
            self._checks.labels(way, outcome)
        for change in ("added", "updated", "gone"):
            self._releases.labels(change)
        for outcome in ("complete", "partial", "failed"):
            self._outcomes.labels(outcome)
        for grant in ("refresh_token", "client_credentials"):
            self._renewals.labels(grant)

    def restore_files(self) -> None:
        """Recreate the files that all processes count in, if they were deleted."""
        if self._files is not None:
            self._files.restore()

    def count_sync(self, outcome: str, seconds: float, **releases: int) -> None:
        """Count a finished sync, and the releases that it `added`, `updated` and found `gone`."""
        self._outcomes.labels(outcome).inc()
        self._syncs.labels(outcome).observe(seconds)
        for change, count in releases.items():
            self._releases.labels(change).inc(count)

    def call(self, bucket: str, status: int) -> None:
        """Count a response of Spotify's."""
        attempt_now(lambda: self._calls.labels(bucket, str(status)).inc(), None)

    def check(self, way: str, outcome: str) -> None:
        """Count a check of an artist."""
        attempt_now(lambda: self._checks.labels(way, outcome).inc(), None)

    def closed(self, reason: str) -> None:
        """Count a connection that the server closed for one of the reasons in CLOSED."""
        attempt_now(lambda: self._closed.labels(reason).inc(), None)

    def renewal(self, grant: str) -> None:
        """Count an access token that Spotify issued."""
        attempt_now(lambda: self._renewals.labels(grant).inc(), None)
