"""What Prometheus is told of freshness and Spotify's limits, from memory."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime

from server.catalog.snapshot import Freshness, freshness_of, is_stuck
from server.observability.metrics import Gauge
from server.serving.cache import PayloadCache
from server.sync.syncer import Syncer
from server.sync.upstream_status import Bucket, Standing


class Gauges:
    """Reads them off the parts that know."""

    def __init__(
        self,
        cache: PayloadCache,
        standing: Standing,
        syncer: Syncer,
        now: Callable[[], datetime],
    ) -> None:
        self._cache = cache
        self._standing = standing
        self._syncer = syncer
        self._now = now

    @property
    def parts(self) -> tuple[Callable[[], Iterable[Gauge]], ...]:
        """What to read, so that one part that raises leaves the others."""
        return self._buckets, self._freshness

    def _buckets(self) -> Iterable[Gauge]:
        source = freshness_of(self._cache.snapshot).source
        return of_buckets(self._syncer.buckets(self._standing, source), self._now())

    def _freshness(self) -> Iterable[Gauge]:
        freshness = freshness_of(self._cache.snapshot)
        return of_freshness(freshness, self._syncer.schedule.interval, self._now())


def of_buckets(buckets: Sequence[Bucket], now: datetime) -> Iterator[Gauge]:
    """Calls by endpoint, and seconds of pauses that are left."""
    yield Gauge(
        "freshet_quota_used_calls",
        "Calls to an endpoint of Spotify's in the last 24 hours.",
        by_bucket={each.name: each.used for each in buckets},
    )
    yield Gauge(
        "freshet_quota_left_calls",
        "Calls left before QUOTA_PER_DAY.",
        by_bucket={each.name: each.left for each in buckets},
    )
    yield Gauge(
        "freshet_quota_forecast_calls",
        "Calls in the coming 24 hours if all goes on as now.",
        by_bucket={each.name: each.forecast for each in buckets},
    )
    yield Gauge(
        "freshet_cooldown_seconds",
        "Seconds for which an endpoint is left alone, as Spotify asked.",
        by_bucket={each.name: _left(each, now) for each in buckets},
    )


def of_freshness(freshness: Freshness, interval: float, now: datetime) -> Iterator[Gauge]:
    """How old the data is, and whether anything comes in; ages are absent before there is one."""
    yield Gauge("freshet_sync_interval_seconds", "Seconds between syncs; 0 is never.", interval)
    ages = {
        "freshet_last_complete_sync_age_seconds": ("the last complete sync", freshness.complete_at),
        "freshet_last_new_release_age_seconds": ("a sync last added any", freshness.new_at),
    }
    for name, (what, moment) in ages.items():
        if moment is not None:
            age = max((now - moment).total_seconds(), 0)
            yield Gauge(name, f"Seconds since {what}.", age)
    yield Gauge(
        "freshet_feed_stuck",
        "1 if syncs are complete and yet nothing new has come for 72 hours.",
        int(is_stuck(freshness.new_at, freshness.complete_at)),
    )


def _left(bucket: Bucket, now: datetime) -> float:
    if bucket.paused_until is None:
        return 0
    return max((bucket.paused_until - now).total_seconds(), 0)
