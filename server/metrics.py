"""Prometheus instruments. They read what the parts count for themselves, when they are asked.

Source: prometheus.io/docs/instrumenting/exposition_formats.
"""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4 as CONTENT_TYPE
from prometheus_client.registry import Collector

__all__ = ["CONTENT_TYPE", "Metrics"]


class Metrics(Collector):
    """`days_to_reconsent` gives None while nobody has logged in, `token_renewals` counts grants."""

    def __init__(
        self,
        *,
        days_to_reconsent: Callable[[], int | None],
        token_renewals: Mapping[str, int],
    ) -> None:
        self._days_to_reconsent = days_to_reconsent
        self._token_renewals = token_renewals
        self._registry = CollectorRegistry()
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
        renewals = CounterMetricFamily(
            "freshet_token_renewals", "Access tokens that Spotify gave.", labels=["grant"]
        )
        for grant in ("refresh_token", "client_credentials"):
            renewals.add_metric([grant], self._token_renewals.get(grant, 0))
        yield renewals
