"""What Prometheus is shown: the instruments, and gauges that are read when it asks.

Source: prometheus.io/docs/instrumenting/exposition_formats.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4 as CONTENT_TYPE
from prometheus_client.registry import Collector

__all__ = ["CONTENT_TYPE", "Gauge", "Metrics"]


@dataclass(frozen=True)
class Gauge:
    """One number that goes up and down, or one a bucket; `help` is its sentence."""

    name: str
    help: str
    value: float | None = None
    by_bucket: Mapping[str, float] | None = None


class Metrics(Collector):
    """`days_to_reconsent` gives None while nobody has logged in; `gauges` are read at each scrape.

    They go into `registry`, to what counts for itself.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        days_to_reconsent: Callable[[], int | None],
        gauges: Callable[[], Iterable[Gauge]],
    ) -> None:
        self._gauges = gauges
        self._days_to_reconsent = days_to_reconsent
        self._registry = registry
        self._registry.register(self)

    def text(self) -> bytes:
        """Every instrument, as text."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """What the registry calls for each scrape."""
        days = GaugeMetricFamily(
            "freshet_days_to_reconsent",
            "Whole days until the login needs a new consent; absent while nobody has logged in.",
        )
        if (left := self._days_to_reconsent()) is not None:
            days.add_metric([], left)
        yield days
        for gauge in self._gauges():
            yield _family(gauge)


def _family(gauge: Gauge) -> GaugeMetricFamily:
    if gauge.by_bucket is None:
        return GaugeMetricFamily(gauge.name, gauge.help, value=gauge.value)
    family = GaugeMetricFamily(gauge.name, gauge.help, labels=["bucket"])
    for bucket, value in gauge.by_bucket.items():
        family.add_metric([bucket], value)
    return family
