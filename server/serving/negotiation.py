"""What a client wants: which coding, a page or data, or nothing again (RFC 9110 12.5, 13.1)."""

import re
from collections.abc import Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache

from server.serving.payload import Coding, Representation

LONGEST_KEY = 256  # characters of a header whose meaning is remembered
MOST_KEYS = 1024
MOST_ITEMS = 64  # of a list that are read; browsers send ten
PREFERENCE: tuple[Coding, ...] = ("br", "gzip", "identity")
# What lets scripts of any origin read an answer and all its headers, but never with the cookies of
# its reader (Fetch standard, section 3.3).
SHARED = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "*"}
# A year, for the host alone: what runs at its other names is not ours to decide.
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

    Highest q first, then br, gzip, identity. Where a client refuses even identity, it gets that:
    an answer it may not like is better than none.
    """
    if len(accept_encoding) > LONGEST_KEY:
        return _coding(accept_encoding)
    return _known_coding(accept_encoding)


def coding_of(lines: Sequence[str]) -> Coding:
    """Return the best coding for all `Accept-Encoding` lines of a request: identity if several.

    Together they are one list (RFC 9110 section 5.3), but some caches read one line alone and
    would hand what they keep to a client that cannot decode it. Identity every client can.
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


_known_coding = lru_cache(MOST_KEYS)(_coding)


def prefers_page(accept: str) -> bool:
    """Return whether an `Accept` header ("" without one) asks for HTML rather than for JSON.

    The most exact range counts; a client that likes both alike, as by `*/*`, gets JSON.
    Source: RFC 9110 section 12.5.1.
    """
    return _prefers_page(accept) if len(accept) > LONGEST_KEY else _known_preference(accept)


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
    """The items of a list, without those that nobody needs."""
    return header.lower().split(",", MOST_ITEMS)[:MOST_ITEMS]


_known_preference = lru_cache(MOST_KEYS)(_prefers_page)


def matches(if_none_match: str, etag: str) -> bool:
    """Return whether `If-None-Match` names `etag`: a list, weak tags included, or `*`."""
    if if_none_match.strip() == "*":
        return True
    if etag not in if_none_match:  # a long list is not read for nothing
        return False
    tags = (part.strip().removeprefix("W/") for part in if_none_match.split(","))
    return etag in tags


def is_unmodified(
    ready: Representation, if_none_match: str | None, if_modified_since: str | None, now: float
) -> bool:
    """Tell whether 304 is the answer to a GET or HEAD (RFC 9110 section 13.2.2).

    An ETag is more exact than a date, which has whole seconds: beside `if_none_match` a date is
    ignored. So is a date that cannot be read, and one after `now` (seconds since 1970), which a
    clock that ran ahead may have given out, unless it is the very date of the answer.
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
    """Return the seconds since 1970 of a date; None unless it has a form that RFC 9110 names."""
    text = http_date.strip(" \t")
    if HTTP_DATE.fullmatch(text) is None:
        return None
    try:
        return parsedate_to_datetime(text).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def strict_transport(public_url: str) -> dict[str, str]:
    """Return the header by which browsers come by https only (RFC 6797), if that is ours to say.

    It is where PUBLIC_URL is https at the usual port and without a path: the header concerns all
    ports and all paths of a host. It may only be sent over https (section 7.2).
    """
    host = public_url.removeprefix("https://")
    return STRICT if host != public_url and not {"/", ":"} & set(host) else {}


def headers_of(ready: Representation, unmodified: bool) -> tuple[tuple[str, str], ...]:
    """The headers of an answer, or of the 304 in its place (RFC 9110 section 15.4.5)."""
    if not unmodified:
        return ready.headers
    return tuple(each for each in ready.headers if each[0] not in OF_A_BODY)
