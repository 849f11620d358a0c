"""Requests as Prometheus is told of them: by route, not by address."""

import re
from collections.abc import Iterable

from tornado.web import RequestHandler

from server.requests import Requests

OTHER = "other"
NAMES = (("/artists/", "{id}"), ("/albums/", "{spotify_id}"), ("/problems/", "{kind}"))
BLANK = " "  # in place of what varies; no address has one


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
