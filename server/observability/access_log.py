"""The access log: a line a request, or counted, as `ACCESS_LOG` says."""

import logging
import os
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal

import structlog
from tornado.web import RequestHandler

from server.observability.log_handler import tell_quickly
from server.observability.scrubber import scrub_text

EVENT = "http_request"
SUMMARY_SECONDS = 10.0
LONGEST_PATH = 300  # characters that are told of an address
MOST_PATHS = 1000  # whose masked form is kept for the next time

log = structlog.get_logger()


class AccessLog:
    """Called by Tornado after each request.

    `all`: a line each. `summary`: warm cache hits are counted and told in one line every 10 s, all
    else has a line. `errors`: lines for 4xx and 5xx only. `off`: nothing. `count` hears
    of every request that a handler answered, `count_refused` of the method and status of others.
    """

    def __init__(
        self,
        mode: Literal["all", "summary", "errors", "off"],
        count: Callable[[RequestHandler], None] = lambda handler: None,
        count_refused: Callable[[str, int], None] = lambda method, status: None,
    ) -> None:
        self._count = count
        self._count_refused = count_refused
        self._mode = mode
        self._hits = 0
        self._since = time.monotonic()
        self._masked = lru_cache(MOST_PATHS)(scrub_text)

    def __call__(self, handler: RequestHandler) -> None:
        """Count or tell one request."""
        self._count(handler)
        if self._mode == "summary" and getattr(handler, "warm", False):
            self._hits += 1
            return
        status = handler.get_status()
        if self._mode == "off" or (self._mode == "errors" and status < 400):
            return
        request = handler.request
        length = 0 if request.method == "HEAD" else int(handler._headers.get("Content-Length", "0"))
        log.log(
            logging.WARNING if status >= 500 else logging.INFO,
            EVENT,
            **_fields(
                getattr(handler, "request_id", None),
                request.method or "",
                (request.uri or "")[:LONGEST_PATH],
                request.remote_ip or "",
                status,
                length,
                request.request_time(),
                warm=getattr(handler, "warm", False),
            ),
        )

    @property
    def tells_hits(self) -> bool:
        """Whether each answer of the fast lane has a line of its own."""
        return self._mode == "all"

    def count(self, hits: int) -> None:
        """So many answers were sent by the fast lane."""
        if self._mode == "summary":
            self._hits += hits

    def hit(
        self, method: str, target: str, client: str, status: int, length: int, seconds: float
    ) -> None:
        """Tell one answer of the fast lane."""
        path = self._masked(target[:LONGEST_PATH])
        fields = _fields(new_id(), method, path, client, status, length, seconds, warm=True)
        tell_quickly(EVENT, **fields)

    def refused(
        self,
        request_id: str,
        method: str,
        target: str,
        client: str,
        status: int,
        length: int,
        reason: str,
    ) -> None:
        """Count and log a request that no handler saw, since it cannot be read."""
        self._count_refused(method, status)
        if self._mode != "off":
            path = target[:LONGEST_PATH]
            fields = _fields(request_id, method, path, client, status, length, 0.0, warm=False)
            log.info(EVENT, **fields, reason=reason[:LONGEST_PATH])

    def summarise(self) -> None:
        """Tell how many hits there were since the last time, if any."""
        now = time.monotonic()
        if self._hits:
            log.info("http_summary", hits=self._hits, seconds=round(now - self._since, 1))
        self._hits, self._since = 0, now


def new_id() -> str:
    """A random UUID (RFC 9562 section 5.4), in a quarter of the time that `uuid.uuid4` takes."""
    digits = os.urandom(16).hex()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def _fields(
    request_id: str | None,
    method: str,
    path: str,
    client: str,
    status: int,
    length: int,
    seconds: float,
    *,
    warm: bool,
) -> dict[str, Any]:
    """What a line tells of one answer."""
    return {
        "request_id": request_id,
        "method": method,
        "path": path,
        "client": client,
        "status": status,
        "duration_ms": round(seconds * 1000, 2),
        "bytes": length,
        "warm": warm,
    }
