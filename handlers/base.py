"""What all handlers share: errors as problems, allowed methods, and the request's id."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import orjson
import structlog
from tornado.httputil import parse_cookie
from tornado.web import HTTPError, RequestHandler

from server.errors import FreshetError, InvalidParameters
from server.observability.access_log import new_id
from server.openapi import problem_kinds
from server.request_errors import JournalOutOfReach
from server.serving.deprecations import Deprecations
from server.serving.negotiation import SHARED, matches, strict_transport

# `*` covers every header but Authorization (Fetch standard, section 4.8).
ANY_HEADER = "*, Authorization"
LARGE_BYTES = 4096  # bodies from this size are not copied for each client
TIMES = orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS  # 2026-11-20T05:00:12Z
CORS_SECONDS = "86400"  # how long a browser may remember a preflight

log = structlog.get_logger()


class BaseHandler(RequestHandler):
    """Turns every exception into a problem (RFC 9457): only here are status codes chosen."""

    _root = ""
    warm = False
    shared = True  # readable by scripts of other origins
    caching = "no-store"  # of what `write_json` and errors send
    _request_id: str | None = None

    def initialize(self, root: str = "") -> None:
        """Take PUBLIC_URL, without a final slash, from the routes."""
        self._root = root
        self._require_https()

    def set_default_headers(self) -> None:
        """Replace Tornado's name and version, and set the headers of CORS and HSTS."""
        self.set_header("Server", "Freshet")
        if self.shared:
            self.share()
        self._require_https()  # again, because an error clears all headers

    def _require_https(self) -> None:
        """Make browsers use only https, if this request did (RFC 6797 section 7.2)."""
        if self.request.protocol == "https":
            self.set_all(strict_transport(self._root))

    def share(self) -> None:
        """Let scripts of any origin read the response."""
        self.set_all(SHARED)

    def set_all(self, headers: Mapping[str, str]) -> None:
        """Set several headers."""
        for name, value in headers.items():
            self.set_header(name, value)

    def compute_etag(self) -> str | None:
        """Return None, so that no body is hashed: handlers that have an ETag set it."""
        return None

    def check_etag_header(self) -> bool:
        """Return whether the client has this response already."""
        etag = self._headers.get("Etag")
        return bool(etag) and matches(self.request.headers.get("If-None-Match", ""), str(etag))

    @property
    def request_id(self) -> str:
        """The id of the request in responses and in the log, created on first use."""
        if self._request_id is None:
            self._request_id = new_id()
            structlog.contextvars.bind_contextvars(request_id=self._request_id)
        return self._request_id

    def sent_cookies(self) -> Iterator[tuple[str, str]]:
        """Yield names and raw values of the request's cookies."""
        for part in self.request.headers.get("Cookie", "").split(";"):
            name, equals, value = part.partition("=")
            if equals:
                yield name.strip(), value.strip()

    def get_cookie(  # type: ignore[override]
        self, name: str, default: str | None = None
    ) -> str | None:
        """Return a cookie of the request, the last of that name.

        Other cookies are not parsed: programs on the same host may have set thousands of bytes.
        """
        found = [value for sent, value in self.sent_cookies() if sent == name]
        return parse_cookie(f"{name}={found[-1]}")[name] if found else default

    def options(self, *_: str) -> None:
        """List the methods; if `shared`, allow any header to scripts of other origins."""
        self.set_status(204)
        self.set_header("Allow", self.allowed_methods())
        if self.shared:
            self.set_header("Access-Control-Allow-Methods", self.allowed_methods())
            self.set_header("Access-Control-Allow-Headers", ANY_HEADER)
            self.set_header("Access-Control-Max-Age", CORS_SECONDS)

    def allowed_methods(self) -> str:
        """Return the methods of this handler, for `Allow`."""
        missing = RequestHandler._unimplemented_method
        return ", ".join(
            method
            for method in self.SUPPORTED_METHODS
            if getattr(type(self), method.lower()) is not missing
        )

    def flush(self, include_footers: bool = False) -> Any:
        """Send what was written; with the headers, those of what is deprecated here."""
        deprecations: Deprecations | None = self.settings.get("deprecations")
        if deprecations is not None and not self._headers_written:
            for name, value in deprecations.headers(self.request.path, self.request.query):
                self.add_header(name, value)
        return super().flush(include_footers)

    def finish(self, chunk: Any = None) -> Any:
        """End the response; send a large body separately, because Tornado joins it to the head.

        So the unsent bytes are the body that all clients share, not a copy for each.
        """
        if isinstance(chunk, bytes) and len(chunk) > LARGE_BYTES:
            self.set_header("Content-Length", str(len(chunk)))
            self.flush()
        return super().finish(chunk)

    def write_json(self, content: dict[str, Any], status: int = 200) -> None:
        """Answer with a JSON object that caches do not store."""
        self.set_status(status)
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.set_header("Cache-Control", self.caching)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.finish(orjson.dumps(content, option=TIMES))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with a problem, without a traceback or text from outside."""
        error = kwargs["exc_info"][1] if "exc_info" in kwargs else None
        problem = self._problem(status_code, error)
        self.set_status(problem["status"])
        self.set_header("Content-Type", "application/problem+json")
        self.set_header("Cache-Control", self.caching)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.share()
        if problem["status"] == 405:
            self.set_header("Allow", self.allowed_methods())
        if isinstance(error, FreshetError):
            self.set_all(error.retry_headers())
        self.finish(orjson.dumps(problem))

    def _problem(self, status: int, error: BaseException | None) -> dict[str, Any]:
        if isinstance(error, FreshetError):
            status, kind, title = error.status, error.kind, error.title
            detail = str(error) if error.public else None
        else:
            explained = problem_kinds.of_status(status)
            kind, title, detail = explained.kind, explained.title, None
        root = urlsplit(self._root).path
        problem = problem_kinds.problem(root, kind, title, status, detail, self.request_id)
        if isinstance(error, InvalidParameters):
            problem["errors"] = error.faults
        if isinstance(error, JournalOutOfReach):
            problem |= error.members
        return problem

    def log_exception(self, typ: Any, value: BaseException | None, tb: Any) -> None:
        """Log an unexpected error with its traceback; the access log has all others."""
        if not isinstance(value, HTTPError | FreshetError):
            log.error(
                "request_crashed",
                request_id=self.request_id,
                method=self.request.method,
                path=self.request.path,
                exc_info=(typ, value, tb),
            )
