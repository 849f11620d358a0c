"""Prepared responses: those of scripts, and those of faults that are valid HTTP."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

import orjson

from server.standin.catalogue.ids import spotify_id
from server.standin.catalogue.spotify_objects import simplified_album, simplified_artist
from server.standin.faults.definitions import Fault

JSON_TYPE: Final = "application/json; charset=utf-8"


@dataclass(frozen=True)
class Answer:
    """A scripted response: a dict is sent as JSON, bytes unchanged.

    It is sent after `delay` seconds, and not before `held` is set, if it is given.
    """

    status: int
    body: bytes | dict[str, Any] = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    held: asyncio.Event | None = None


def _sample() -> bytes:
    artist = simplified_artist(spotify_id("sample", "artist"), "The Halfway House")
    album = simplified_album(
        spotify_id("sample", "album"), "Unfinished", [artist], date(2026, 11, 20)
    )
    return orjson.dumps({"albums": {"items": [album], "next": None, "offset": 0, "total": 1}})


_NESTED: Final = b'{"albums":' + b"[" * 5000 + b"]" * 5000 + b"}"
SAMPLE: Final = _sample()
"""A complete page with one album, as JSON; truncated responses are parts of it."""


def _error(status: int, message: str, **more: str) -> Answer:
    return Answer(status, {"error": {"status": status, "message": message, **more}})


def _plain(status: int, text: str, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, text.encode(), {"Content-Type": "text/plain", **named})


_EXPIRED: Final = "The access token expired"
_PREMIUM: Final = (
    "Active premium subscription required for the owner of the app. When the subscription "
    "status changes, it can take a few hours before requests are allowed again."
)
_UNREGISTERED: Final = "User not registered in the Developer Dashboard"
_CHECK_SETTINGS: Final = (
    "Check settings on developer.spotify.com/dashboard, the user may not be registered."
)
_EDGE: Final = {
    "Cache_Control": "private, max-age=0",
    "Server": "envoy",
    "Via": "HTTP/2 edgeproxy, 1.1 google",
}
_CHALLENGE: Final = f'Bearer realm="spotify", error="invalid_token", error_description="{_EXPIRED}"'
_HTML: Final = b"<!DOCTYPE html><title>Bad gateway</title><h1>Something went wrong</h1>"

_ANSWERS: Final[dict[str, Answer]] = {
    "too-many-requests": _plain(429, "Too many requests", **_EDGE),
    "rate-limit": _error(429, "API rate limit exceeded"),
    "quota-exceeded": _error(429, "Too many requests", reason="QUOTA_EXCEEDED"),
    "premium": _plain(403, _PREMIUM),
    "unregistered": _plain(403, _UNREGISTERED),
    "check-settings": _plain(403, _CHECK_SETTINGS),
    "scope": _error(403, "Insufficient client scope"),
    "forbidden": _error(403, "Forbidden"),
    "not-found": _error(404, "Resource not found"),
    "gone": _error(410, "Gone"),
    "token-expired": Answer(
        401, {"error": {"status": 401, "message": _EXPIRED}}, {"WWW-Authenticate": _CHALLENGE}
    ),
    "token-missing": _error(401, "Access token missing"),
    "token-invalid": _error(401, "Invalid access token"),
    "no-token": _error(401, "No token provided"),
    "bad-limit": _error(400, "Invalid limit"),
    "too-deep": _error(400, "Limit + Offset exceeds maximum of 1000"),
    "unlaunched-market": _error(400, "Unlaunched market"),
    "invalid-market": _error(400, "Invalid market code"),
    "bad-bearer": _error(400, "Only valid bearer authentication supported"),
    "500": _error(500, "Server error."),
    "502": _error(502, "Bad gateway."),
    "503": _error(503, "Service unavailable"),
    "504": _plain(504, "upstream request timeout"),
    "not-json": Answer(200, _HTML, {"Content-Type": "text/html; charset=utf-8"}),
    "empty": Answer(200, b"", {"Content-Type": JSON_TYPE}),
    "nested": Answer(200, _NESTED, {"Content-Type": JSON_TYPE}),
    "cut-json": Answer(200, SAMPLE[: len(SAMPLE) // 2], {"Content-Type": JSON_TYPE}),
}
"""Fault → response. Texts of 4xx and 502 are Spotify's, those of 410 and other 5xx ours."""


def answer_to(fault: Fault) -> Answer | None:
    """Return the response of a fault, None if the fault is not a response."""
    answer = _ANSWERS.get(fault.fault)
    if answer is None or fault.retry_after is None:
        return answer
    headers = {**answer.headers, "Retry-After": str(fault.retry_after)}
    return Answer(answer.status, answer.body, headers)
