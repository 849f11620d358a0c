"""Exposes the instruments to Prometheus, with gauges that are read at each scrape.

Source: prometheus.io/docs/instrumenting/exposition_formats.
"""

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4 as CONTENT_TYPE
from prometheus_client.registry import Collector
from tornado.ioloop import PeriodicCallback

from server import __version__
from server.observability.instruments import Instruments
from server.tasks import attempt_now

__all__ = ["CONTENT_TYPE", "Gauge", "Metrics"]

FLUSH_SECONDS = 1.0  # between updates of the request counters
REFRESH_SECONDS = 5.0  # maximum age of this process's gauges in the metrics of other processes


@dataclass(frozen=True)
class Gauge:
    """A number that goes up and down, or one number per bucket; without either it is absent."""

    name: str
    help: str
    value: float | None = None
    by_bucket: Mapping[str, float] | None = None


class Metrics(Collector):
    """The instruments of all processes, and `gauges`, which are read at each scrape.

    What raises is logged (`task_crashed`) and left out; everything else is exposed.
    """

    def __init__(
        self,
        instruments: Instruments,
        gauges: Sequence[Callable[[], Iterable[Gauge]]],
    ) -> None:
        self._gauges = gauges
        self._instruments = instruments
        self._own = CollectorRegistry()
        self._own.register(self)
        self._timers = [
            PeriodicCallback(self._flush, FLUSH_SECONDS * 1000),
            PeriodicCallback(self._refresh, REFRESH_SECONDS * 1000),
        ]

    def start(self) -> None:
        """Start to update this process's gauges and counters, which other processes expose too."""
        self._refresh()
        for timer in self._timers:
            timer.start()

    def stop(self) -> None:
        """Flush remaining counts and stop the timers."""
        for timer in self._timers:
            timer.stop()
        self._flush()

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        self._flush()
        self._refresh()
        registries = (self._instruments.scraped, self._own)
        return b"".join(attempt_now(partial(generate_latest, each), b"") for each in registries)

    def _flush(self) -> None:
        attempt_now(self._instruments.restore_files, None)  # before the library opens one of them
        attempt_now(self._instruments.requests.flush, None)

    def _refresh(self) -> None:
        attempt_now(self._instruments.process_gauges.refresh, None)

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges; the registry calls this for each scrape."""
        build = GaugeMetricFamily(
            "freshet_build_info",
            "Always 1; the labels are the versions of Freshet and Python.",
            labels=["version", "python"],
        )
        build.add_metric([__version__, platform.python_version()], 1)
        yield build
        for read in self._gauges:
            yield from attempt_now(partial(_families, read), ())


def _families(read: Callable[[], Iterable[Gauge]]) -> list[GaugeMetricFamily]:
    return [_family(each) for each in read()]


def _family(gauge: Gauge) -> GaugeMetricFamily:
    if gauge.by_bucket is None:  # without a value, the family has its comments and no sample
        return GaugeMetricFamily(gauge.name, gauge.help, value=gauge.value)
    family = GaugeMetricFamily(gauge.name, gauge.help, labels=["bucket"])
    for bucket, value in gauge.by_bucket.items():
        family.add_metric([bucket], value)
    return family
