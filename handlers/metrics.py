"""`/metrics`, which requires the key in METRICS_KEY if that is set.

Without a key, only direct connections may read the metrics, because a proxy in front, which may run
on the same host, would publish them.
"""

import hmac
from typing import Any

from handlers.base import BaseHandler
from server.http.forwarded import TrustedProxies
from server.observability.metrics import CONTENT_TYPE, Metrics
from server.request_errors import MetricsByProxy, MetricsKeyNeeded

CHALLENGE = 'Bearer realm="metrics"'


class MetricsHandler(BaseHandler):
    """Serves all metrics in Prometheus' text format."""

    shared = False

    def initialize(  # type: ignore[override]
        self, metrics: Metrics, key: str | None, proxies: TrustedProxies, root: str
    ) -> None:
        """Take the metrics, the key (None if not set) and the trusted proxies from the routes."""
        super().initialize(root)
        self._metrics = metrics
        self._key = key
        self._proxies = proxies

    def get(self) -> None:
        """Send the metrics. Raises MetricsKeyNeeded or MetricsByProxy."""
        self._authorize()
        self.set_header("Content-Type", CONTENT_TYPE)
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.finish(self._metrics.text())

    head = get

    def _authorize(self) -> None:
        if self._key is None:
            if not self._proxies.is_direct_or_local(self.request):
                raise MetricsByProxy
            return
        scheme, _, given = self.request.headers.get("Authorization", "").partition(" ")
        is_key = hmac.compare_digest(given.strip().encode(), self._key.encode())
        if scheme.lower() != "bearer" or not is_key:
            raise MetricsKeyNeeded

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with a problem, and with WWW-Authenticate if the key is missing or wrong.

        Source: RFC 9110 section 11.6.1.
        """
        if isinstance(kwargs.get("exc_info", (None, None))[1], MetricsKeyNeeded):
            self.set_header("WWW-Authenticate", CHALLENGE)
        super().write_error(status_code, **kwargs)
