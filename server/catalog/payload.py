"""From a snapshot and a query to the very bytes and headers of an answer. Pure."""

import gzip
import hashlib
from dataclasses import dataclass
from email.utils import format_datetime
from typing import Any, Literal

import brotli
import orjson

from server.catalog import feeds, selection
from server.catalog.feeds import Channel, Release
from server.catalog.query import ArtistsQuery, ReleaseQuery
from server.catalog.selection import Listed
from server.catalog.snapshot import TIMES, AlbumEntry, Freshness, Snapshot, utc

Coding = Literal["br", "gzip", "identity"]
GZIP_LEVEL = 6
BROTLI_QUALITY = 5
OVERHEAD_BYTES = 6400  # of a payload beside its bodies
JSON = "application/json; charset=utf-8"
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


def build(
    snapshot: Snapshot, query: ReleaseQuery, *, stale: bool, max_age: int, root: str = ""
) -> Payload:
    """Answer `query` from `snapshot`.

    `max_age` is what caches are told, in seconds; `root` the address of this server, for feeds.
    """
    listed = _items(snapshot, query)
    end = None if query.limit is None else query.offset + query.limit
    page = listed[query.offset : end]
    following, preceding = _neighbours(query, len(listed))
    link = _link(following, preceding)
    freshness = snapshot.freshness
    if (form := feeds.FORMATS.get(query.path)) is not None:
        further = None if following is None else root + following
        channel = Channel(root + query.href, f"{root}/", freshness.as_of, further)
        body = form.write(channel, [Release.read(each.json) for each in page])
        return seal(body, freshness, max_age, link, form.content_type)
    content = {
        "items": [_item(each, query) for each in page],
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
    }
    return seal(orjson.dumps(content, option=TIMES), freshness, max_age, link)


def seal(
    body: bytes, freshness: Freshness, max_age: int, link: str, content_type: str = JSON
) -> Payload:
    """A body with the headers that all answers of the catalogue have, in every coding."""
    headers = [
        ("Content-Type", content_type),
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


def unkept() -> list[tuple[str, str]]:
    """The headers of an answer that caches have to ask about each time."""
    return [
        ("Content-Type", JSON),
        ("Cache-Control", "no-cache"),
        ("Vary", "Accept-Encoding"),
        ("Access-Control-Allow-Origin", "*"),
        ("Access-Control-Expose-Headers", EXPOSED),
        ("X-Content-Type-Options", "nosniff"),
        ("Link", LINK),
    ]


def _items(snapshot: Snapshot, query: ReleaseQuery) -> list[Any]:
    """The unpaged answer, in order: artists with their releases, or releases."""
    if isinstance(query, ArtistsQuery):
        return selection.artists(snapshot.albums, query)
    return selection.albums(snapshot.albums, query)


def _item(item: Listed | AlbumEntry, query: ReleaseQuery) -> Any:
    if isinstance(item, Listed) and isinstance(query, ArtistsQuery):
        return _artist(item, query)
    assert isinstance(item, AlbumEntry)
    return _album(item, query)


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
