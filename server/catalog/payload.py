"""From a snapshot and a query to the very bytes and headers of an answer. Pure."""

import gzip
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import format_datetime
from functools import partial
from typing import Any, Literal

import brotli
import orjson

from server.catalog import selection
from server.catalog.query import ArtistsQuery, ReleaseQuery
from server.catalog.selection import Listed
from server.catalog.snapshot import TIMES, AlbumEntry, Freshness, Snapshot, utc

Coding = Literal["br", "gzip", "identity"]
GZIP_LEVEL = 6
BROTLI_QUALITY = 5
OVERHEAD_BYTES = 6400  # of a payload beside its bodies
LINK = '</api/openapi.json>; rel="service-desc"'  # of what has no neighbours
EXPOSED = "ETag, Link, X-Last-Sync"  # what scripts of other origins may read


@dataclass(frozen=True, slots=True)
class Representation:
    """An answer in one coding: its bytes, its strong ETag, and all headers but `Date`."""

    body: bytes
    etag: str
    headers: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Payload:
    """An answer in every coding."""

    representations: dict[Coding, Representation]

    @property
    def size(self) -> int:
        """Bytes in memory, near enough: bodies, and what headers and objects were measured at."""
        return OVERHEAD_BYTES + sum(len(each.body) for each in self.representations.values())


def build(snapshot: Snapshot, query: ReleaseQuery, *, stale: bool, max_age: int) -> Payload:
    """Answer `query` from `snapshot`; `max_age` is what caches are told, in seconds."""
    listed = _items(snapshot, query)
    end = None if query.limit is None else query.offset + query.limit
    page = [make() for make in listed[query.offset : end]]
    following, preceding = _neighbours(query, len(listed))
    freshness = snapshot.freshness
    body = orjson.dumps(
        {
            "items": page,
            "count": len(page),
            "total": len(listed),
            "limit": query.limit,
            "offset": query.offset,
            "href": query.href,
            "next": following,
            "previous": preceding,
            "as_of": freshness.as_of,
            "source": freshness.source,
            "stale": stale,
            "partial": freshness.partial,
        },
        option=TIMES,
    )
    return seal(body, freshness, max_age, _link(following, preceding))


def seal(body: bytes, freshness: Freshness, max_age: int, link: str) -> Payload:
    """A JSON body with the headers that all answers of the catalogue have, in every coding."""
    headers = [
        ("Content-Type", "application/json; charset=utf-8"),
        (
            "Cache-Control",
            f"public, max-age={max_age}, stale-while-revalidate=60, stale-if-error=86400",
        ),
        ("Vary", "Accept-Encoding"),
        ("Access-Control-Allow-Origin", "*"),
        ("Access-Control-Expose-Headers", EXPOSED),
        ("X-Content-Type-Options", "nosniff"),
        ("Link", link),
    ]
    if freshness.synced_at:  # the body tells when each album was last seen, so it dates from then
        dates = [each for each in (freshness.synced_at, freshness.as_of) if each]
        headers.append(("Last-Modified", format_datetime(max(dates), usegmt=True)))
        headers.append(("X-Last-Sync", str(utc(freshness.synced_at))))
    return Payload(represent(body, headers))


def _items(snapshot: Snapshot, query: ReleaseQuery) -> list[Callable[[], Any]]:
    """What makes each item of the unpaged answer, in order."""
    if isinstance(query, ArtistsQuery):
        artists = selection.artists(snapshot.albums, query)
        return [partial(_artist, listed, query) for listed in artists]
    albums = selection.albums(snapshot.albums, query)
    return [partial(_album, album, query) for album in albums]


def represent(body: bytes, headers: list[tuple[str, str]]) -> dict[Coding, Representation]:
    """Compress once, hash once: every coding has an ETag of its very bytes (RFC 9110 8.8.3.3)."""
    bodies: dict[Coding, bytes] = {
        "br": brotli.compress(body, mode=brotli.MODE_TEXT, quality=BROTLI_QUALITY),
        "gzip": gzip.compress(body, GZIP_LEVEL, mtime=0),
        "identity": body,
    }
    representations: dict[Coding, Representation] = {}
    for coding, coded in bodies.items():
        etag = f'"{hashlib.blake2b(coded, digest_size=16).hexdigest()}"'
        own = [("Content-Length", str(len(coded))), ("ETag", etag)]
        if coding != "identity":
            own.append(("Content-Encoding", coding))
        representations[coding] = Representation(coded, etag, (*headers, *own))
    return representations


def _neighbours(query: ReleaseQuery, total: int) -> tuple[str | None, str | None]:
    """The next and the previous page of a query with a limit; they overlap nothing."""
    if query.limit is None:
        return None, None
    end, start = query.offset + query.limit, min(query.offset, total)
    following = query.page(end, query.limit).href if end < total else None
    if not start:
        return following, None
    size = min(query.limit, start)
    return following, query.page(start - size, size).href


def _artist(listed: Listed, query: ArtistsQuery) -> dict[str, Any]:
    albums = [_album(album, query) for album in listed.albums]
    item = {**listed.artist.fields, "latest_album": albums[0], "albums": albums}
    return {name: item[name] for name in query.fields} if query.fields else item


def _album(album: AlbumEntry, query: ReleaseQuery) -> orjson.Fragment:
    """A release as it is held, or with its markets spliced in."""
    if "markets" not in query.include:
        return orjson.Fragment(album.json)
    known = None if album.markets is None else album.markets.split()
    markets = b',"available_markets":' + orjson.dumps(known)
    return orjson.Fragment(album.json[:-1] + markets + b"}")


def _link(following: str | None, preceding: str | None) -> str:
    """RFC 8288 links to the neighbouring pages and the description of this API (RFC 8631)."""
    links = [(following, "next"), (preceding, "prev"), ("/api/openapi.json", "service-desc")]
    return ", ".join(f'<{target}>; rel="{relation}"' for target, relation in links if target)
