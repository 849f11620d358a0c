"""Content negotiation and conditional requests (RFC 9110 sections 12.5 and 13.1)."""

import re
from collections.abc import Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache

from server.serving.payload import Coding, Representation

MAX_KEY_LENGTH = 256  # characters of a header whose result is cached
MAX_KEYS = 1024
MAX_ITEMS = 64  # of a list that are read; browsers send about ten
PREFERENCE: tuple[Coding, ...] = ("br", "gzip", "identity")
# Scripts of any origin may read a response and all its headers, but never with the user's cookies
# (Fetch standard, section 3.3).
SHARED = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "*"}
# A year, without subdomains: those may run other services.
STRICT = {"Strict-Transport-Security": "max-age=31536000"}
OF_A_BODY = frozenset({"Content-Type", "Content-Length", "Content-Encoding", "Content-Disposition"})
# The three forms of a date (RFC 9110 section 5.6.7).
MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
HTTP_DATE = re.compile(
    rf"[A-Z][a-z]{{2}}, \d\d {MONTH} [1-9]\d{{3}} \d\d:\d\d:\d\d GMT"
    rf"|[A-Z][a-z]{{5,8}}, \d\d-{MONTH}-\d\d \d\d:\d\d:\d\d GMT"
    rf"|[A-Z][a-z]{{2}} {MONTH} [\d ]\d \d\d:\d\d:\d\d [1-9]\d{{3}}",
    re.ASCII,
)
QUALITY = re.compile(r"\s*q\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*")


def coding(accept_encoding: str) -> Coding:
    """Return the best coding for an `Accept-Encoding` header ("" without one).

    The highest q wins, then br, gzip, identity. A client that refuses all of them gets identity,
    which is more useful than a 406 (RFC 9110 section 12.4.1 allows both).
    """
    if len(accept_encoding) > MAX_KEY_LENGTH:
        return _coding(accept_encoding)
    return _known_coding(accept_encoding)


def coding_of(lines: Sequence[str]) -> Coding:
    """Return the best coding for all `Accept-Encoding` lines of a request: identity if several.

    Several lines are one list (RFC 9110 section 5.3), but some caches read one line only and would
    serve the stored response to a client that cannot decode it. Every client can decode identity.
    """
    return coding(lines[0]) if len(lines) == 1 else "identity"


def _coding(accept_encoding: str) -> Coding:
    if not accept_encoding.strip():
        return "identity"
    weights: dict[str, float] = {}
    for part in _listed(accept_encoding):
        name, _, parameters = part.partition(";")
        quality = QUALITY.fullmatch(parameters) if parameters else None
        if parameters and quality is None:
            continue
        weights[name.strip()] = float(quality[1]) if quality else 1.0
    if "x-gzip" in weights:
        weights.setdefault("gzip", weights["x-gzip"])
    rest = weights.get("*", 0.0)
    best: Coding = "identity"
    best_weight = weights.get("identity", rest if "*" in weights else 0.001)
    for each in reversed(PREFERENCE[:-1]):
        weight = weights.get(each, rest)
        if weight > 0 and weight >= best_weight:
            best, best_weight = each, weight
    return best


_known_coding = lru_cache(MAX_KEYS)(_coding)


def prefers_page(accept: str) -> bool:
    """Return whether an `Accept` header ("" without one) asks for HTML rather than for JSON.

    The most exact range counts; a client that likes both alike, as by `*/*`, gets JSON.
    Source: RFC 9110 section 12.5.1.
    """
    return _prefers_page(accept) if len(accept) > MAX_KEY_LENGTH else _known_preference(accept)


def _prefers_page(accept: str) -> bool:
    weights: dict[str, float] = {}
    for part in _listed(accept):
        name, *parameters = part.split(";")
        found = [quality for each in parameters if (quality := QUALITY.fullmatch(each))]
        weight = float(found[0][1]) if found else 1.0
        weights[name.strip()] = max(weight, weights.get(name.strip(), 0.0))
    rest = weights.get("*/*", 0.0)
    html = weights.get("text/html", weights.get("text/*", rest))
    as_json = weights.get("application/json", weights.get("application/*", rest))
    return html > max(as_json, weights.get("application/problem+json", 0.0))


def _listed(header: str) -> list[str]:
    """Split a list into its first MAX_ITEMS items, in lower case."""
    return header.lower().split(",", MAX_ITEMS)[:MAX_ITEMS]


_known_preference = lru_cache(MAX_KEYS)(_prefers_page)


def matches(if_none_match: str, etag: str) -> bool:
    """Return whether `If-None-Match` names `etag`: a list, weak tags included, or `*`."""
    if if_none_match.strip() == "*":
        return True
    if etag not in if_none_match:  # saves splitting a long list
        return False
    tags = (part.strip().removeprefix("W/") for part in if_none_match.split(","))
    return etag in tags


def is_unmodified(
    ready: Representation, if_none_match: str | None, if_modified_since: str | None, now: float
) -> bool:
    """Return whether a GET or HEAD is answered with 304 (RFC 9110 section 13.2.2).

    `if_none_match` takes precedence over the date, because an ETag is more exact than whole
    seconds. A date is ignored if it is malformed, or if it is after `now` (seconds since 1970) and
    not the date of the response: a clock that ran ahead may have produced it.
    """
    if if_none_match is not None:
        return matches(if_none_match, ready.etag)
    if if_modified_since is None:
        return False
    since = read_date(if_modified_since)
    modified = read_date(dict(ready.headers).get("Last-Modified", ""))
    if since is None or modified is None:
        return False
    return since == modified or modified < since <= now


def read_date(http_date: str) -> float | None:
    """Return an HTTP date in seconds since 1970; None if it has none of RFC 9110's three forms."""
    text = http_date.strip(" \t")
    if HTTP_DATE.fullmatch(text) is None:
        return None
    try:
        return parsedate_to_datetime(text).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def strict_transport(public_url: str) -> dict[str, str]:
    """Return the header that makes browsers use https only (RFC 6797), or no header.

    It is returned if PUBLIC_URL is https on the default port and without a path, because the header
    affects all ports and paths of the host. It may only be sent over https (section 7.2).
    """
    host = public_url.removeprefix("https://")
    return STRICT if host != public_url and not {"/", ":"} & set(host) else {}


def headers_of(ready: Representation, unmodified: bool) -> tuple[tuple[str, str], ...]:
    """Return the headers of a response, or of the 304 in its place (RFC 9110 section 15.4.5)."""
    if not unmodified:
        return ready.headers
    return tuple(each for each in ready.headers if each[0] not in OF_A_BODY)
