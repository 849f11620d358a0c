"""The access log: a line a request, or counted, as `ACCESS_LOG` says."""

import logging
import time
import uuid
from collections.abc import Callable
from typing import Literal

import structlog
from tornado.web import RequestHandler

SUMMARY_SECONDS = 10.0

log = structlog.get_logger()


class AccessLog:
    """Called by Tornado after each request.

    `all`: a line each. `summary`: warm cache hits are counted and told in one line every 10 s, all
    else has a line. `errors`: lines for 4xx and 5xx only. `off`: nothing. `count` hears
    of every request.
    """

    def __init__(
        self,
        mode: Literal["all", "summary", "errors", "off"],
        count: Callable[[RequestHandler], None] = lambda handler: None,
    ) -> None:
        self._count = count
        self._mode = mode
        self._hits = 0
        self._since = time.monotonic()

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
        _tell(
            getattr(handler, "request_id", None),
            request.method or "",
            request.uri or "",
            request.remote_ip or "",
            status,
            length,
            request.request_time(),
            warm=getattr(handler, "warm", False),
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
        _tell(str(uuid.uuid4()), method, target, client, status, length, seconds, warm=True)

    def summarise(self) -> None:
        """Tell how many hits there were since the last time, if any."""
        now = time.monotonic()
        if self._hits:
            log.info("http_summary", hits=self._hits, seconds=round(now - self._since, 1))
        self._hits, self._since = 0, now


def _tell(
    request_id: str | None,
    method: str,
    target: str,
    client: str,
    status: int,
    length: int,
    seconds: float,
    *,
    warm: bool,
) -> None:
    log.log(
        logging.WARNING if status >= 500 else logging.INFO,
        "http_request",
        request_id=request_id,
        method=method,
        path=target[:300],
        client=client,
        status=status,
        duration_ms=round(seconds * 1000, 2),
        bytes=length,
        warm=warm,
    )
