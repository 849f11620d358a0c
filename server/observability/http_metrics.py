"""Metrics of answered requests, collected in plain numbers and passed on once a second.

The library's own counters take locks and, with several processes, write to files, which costs 8 to
13 µs per request.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Histogram
from tornado.web import RequestHandler

REQUEST_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
OTHER = "other"
NAMES = (
    ("/artists/", "{id}"),
    ("/albums/", "{spotify_id}"),
    ("/problems/", "{kind}"),
    ("/keys/", "{id}"),
    ("/watched/", "{id}"),
    ("/ignored/", "{id}"),
)
BLANK = " "  # replaces path parameters; no path contains one


class RequestMetrics:
    """Counts and times answered requests; `flush` passes the numbers on to the library.

    The caller must keep the number of routes and methods small. `by` is "handler", "lane" or
    "parser"; only handlers are timed.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._counter = Counter(
            "freshet_http_requests",
            "Requests answered.",
            ["route", "method", "status", "by"],
            registry=registry,
        )
        self._seconds = _Histogram(
            "freshet_http_request_seconds",
            "Time that handlers took to respond, in seconds.",
            ["route"],
            buckets=REQUEST_SECONDS,
            registry=registry,
        )
        self._counts: dict[tuple[str, str, int, str], int] = {}
        self._timings: dict[str, _Timings] = {}

    def add(self, route: str, method: str, status: int, by: str, count: int = 1) -> None:
        """Count one request, or several with the same labels."""
        key = route, method, status, by
        self._counts[key] = self._counts.get(key, 0) + count

    def time(self, route: str, seconds: float) -> None:
        """Record how long a handler took."""
        timings = self._timings.get(route)
        if timings is None:
            timings = self._timings[route] = _Timings()
        timings.counts[bisect_left(REQUEST_SECONDS, seconds)] += 1
        timings.seconds += seconds

    def flush(self) -> None:
        """Pass the counts since the last call on to the library.

        Each count is removed first, so that none is counted twice if the library raises.
        """
        while self._counts:
            (route, method, status, by), count = self._counts.popitem()
            self._counter.labels(route, method, str(status), by).inc(count)
        while self._timings:
            route, timings = self._timings.popitem()
            self._seconds.labels(route).add(timings.counts, timings.seconds)


class _Timings:
    """The number of requests per bucket (the last one has no bound), and their total time."""

    def __init__(self) -> None:
        self.counts = [0] * (len(REQUEST_SECONDS) + 1)
        self.seconds = 0.0


class _Histogram(Histogram):
    """A histogram that accepts many observations at once."""

    def add(self, counts: Sequence[int], seconds: float) -> None:
        """Add `counts` per bucket, and `seconds` to the sum."""
        self._sum.inc(seconds)
        for bucket, count in zip(self._buckets, counts, strict=True):
            if count:
                bucket.inc(count)


class HandlerMetrics:
    """Counts and times every request that a handler answered, by the route patterns given."""

    def __init__(self, requests: RequestMetrics, patterns: Iterable[str]) -> None:
        self._requests = requests
        self._routes: dict[str, str] = {}
        for pattern in patterns:
            route = readable_route(pattern)
            form = re.sub(r"\{.*\}", BLANK, route)
            self._routes[form] = route
            if pattern.endswith("/?"):
                self._routes[form[:-1]] = route

    def __call__(self, handler: RequestHandler) -> None:
        """Count and time one request."""
        route, request = self.route_of(handler), handler.request
        method = request.method if request.method in handler.SUPPORTED_METHODS else OTHER
        self._requests.add(route, method or OTHER, handler.get_status(), "handler")
        self._requests.time(route, request.request_time())

    def refused(self, method: str, status: int) -> None:
        """Count a request that reached no handler."""
        known = method in RequestHandler.SUPPORTED_METHODS
        self._requests.add(OTHER, method if known else OTHER, status, "parser")

    def route_of(self, handler: RequestHandler) -> str:
        """Return the readable route of a handler's request, or OTHER if it has none."""
        path = handler.request.path
        for value in getattr(handler, "path_args", ()):  # missing if the method is unknown
            path = BLANK.join(path.rsplit(value, 1)) if value else path
        return self._routes.get(path, OTHER)


@cache
def readable_route(pattern: str) -> str:
    """Return a route pattern in readable form, such as /api/artists/{spotify_id}/."""
    name = next((name for part, name in NAMES if part in pattern), "{file}")
    return re.sub(r"\(.*\)", name, re.sub(r"/\?$", "/", pattern)).replace("\\", "")
