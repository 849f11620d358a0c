"""Answered requests: counted in plain numbers, which the library is told once a second.

Its counters take locks and, shared by processes, write to files: 8 to 13 µs a request.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram
from tornado.web import RequestHandler

REQUEST_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
OTHER = "other"
NAMES = (("/artists/", "{id}"), ("/albums/", "{spotify_id}"), ("/problems/", "{kind}"))
BLANK = " "  # in place of what varies; no address has one


class Requests:
    """Answered requests. Routes, methods and reasons have to be few; whoever counts sees to that.

    `by` says who answered, and `seconds` are those of handlers. All that was counted is to be seen
    after `flush`.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._counter = Counter(
            "freshet_http_requests",
            "Requests that were answered.",
            ["route", "method", "status", "by"],
            registry=registry,
        )
        self._seconds = _Histogram(
            "freshet_http_request_seconds",
            "Seconds that handlers took for an answer.",
            ["route"],
            buckets=REQUEST_SECONDS,
            registry=registry,
        )
        self._counts: dict[tuple[str, str, int, str], int] = {}
        self._timings: dict[str, _Timings] = {}

    def add(self, route: str, method: str, status: int, by: str, count: int = 1) -> None:
        """Count one request, or many alike."""
        key = route, method, status, by
        self._counts[key] = self._counts.get(key, 0) + count

    def time(self, route: str, seconds: float) -> None:
        """Note how long a handler took."""
        timings = self._timings.get(route)
        if timings is None:
            timings = self._timings[route] = _Timings()
        timings.counts[bisect_left(REQUEST_SECONDS, seconds)] += 1
        timings.seconds += seconds

    def flush(self) -> None:
        """Pass on to the library what has been counted since the last time.

        Each count is taken away first, so that none is passed on twice if the library raises.
        """
        while self._counts:
            (route, method, status, by), count = self._counts.popitem()
            self._counter.labels(route, method, str(status), by).inc(count)
        while self._timings:
            route, timings = self._timings.popitem()
            self._seconds.labels(route).add(timings.counts, timings.seconds)


class _Timings:
    """How many requests took how long: one number for each bound, and one beyond."""

    def __init__(self) -> None:
        self.counts = [0] * (len(REQUEST_SECONDS) + 1)
        self.seconds = 0.0


class _Histogram(Histogram):
    """One that takes many observations at once, which the library's cannot."""

    def add(self, counts: Sequence[int], seconds: float) -> None:
        """So many in each bucket, which took so many seconds together."""
        self._sum.inc(seconds)
        for bucket, count in zip(self._buckets, counts, strict=True):
            if count:
                bucket.inc(count)


class Traffic:
    """Counts and times each request that a handler has answered. `patterns` are those of routes."""

    def __init__(self, requests: Requests, patterns: Iterable[str]) -> None:
        self._requests = requests
        self._routes: dict[str, str] = {}
        for pattern in patterns:
            route = plain(pattern)
            form = re.sub(r"\{.*\}", BLANK, route)
            self._routes[form] = route
            if pattern.endswith("/?"):
                self._routes[form[:-1]] = route

    def __call__(self, handler: RequestHandler) -> None:
        """One more."""
        route, request = self.route_of(handler), handler.request
        method = request.method if request.method in handler.SUPPORTED_METHODS else OTHER
        self._requests.add(route, method or OTHER, handler.get_status(), "handler")
        self._requests.time(route, request.request_time())

    def refused(self, method: str, status: int) -> None:
        """Count a request that no handler saw."""
        known = method in RequestHandler.SUPPORTED_METHODS
        self._requests.add(OTHER, method if known else OTHER, status, "parser")

    def route_of(self, handler: RequestHandler) -> str:
        """The route that led to a handler; there are no more answers than routes, and OTHER."""
        path = handler.request.path
        for value in getattr(handler, "path_args", ()):  # none yet if the method is no method
            path = BLANK.join(path.rsplit(value, 1)) if value else path
        return self._routes.get(path, OTHER)


def plain(pattern: str) -> str:
    """A route as people write it, such as /api/artists/{spotify_id}/."""
    name = next((name for part, name in NAMES if part in pattern), "{file}")
    return re.sub(r"\(.*\)", name, re.sub(r"/\?$", "/", pattern)).replace("\\", "")
