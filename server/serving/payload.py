"""The bytes and headers of a response, built from a snapshot and a query. Pure."""

import gzip
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from email.utils import format_datetime
from typing import Literal

import brotli
import orjson

from server.catalog import isolation, selection
from server.catalog.isolation import LeftOut
from server.catalog.lifetime import REVALIDATE
from server.catalog.query import ReleaseQuery, depends_on_today
from server.catalog.reading import first_page
from server.catalog.release import clean
from server.catalog.snapshot import TIMES, AlbumEntry, Freshness, Snapshot, utc
from server.catalog.zones import start_of_day
from server.serving import feeds, json_body, pages
from server.serving.feeds import Channel, Release
from server.serving.json_body import Item
from server.serving.pages import FROM_MEMORY, MakeCursor, Start

Coding = Literal["br", "gzip", "identity"]
CODINGS: tuple[Coding, ...] = ("br", "gzip", "identity")
# Compression levels of bodies up to LARGE_BYTES, and of larger ones, which would take too long.
# They depend on the body alone, so that every process produces the same bytes.
LARGE_BYTES = 100_000
GZIP_LEVELS = 6, 2
BROTLI_QUALITIES = 5, 2
OVERHEAD_BYTES = 1350  # of a representation beside its body
JSON = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Representation:
    """A response in one content coding: its bytes, its strong ETag, and all its headers."""

    body: bytes
    etag: str
    headers: tuple[tuple[str, str], ...]

    @property
    def size(self) -> int:
        """Estimated bytes in memory: the body, and the measured overhead of headers and objects."""
        return OVERHEAD_BYTES + len(self.body)


@dataclass(frozen=True, slots=True)
class Payload:
    """A response before it is encoded, with the headers that all its codings share.

    `left_out` has the items that could not be written.
    """

    body: bytes
    headers: tuple[tuple[str, str], ...]
    left_out: tuple[LeftOut, ...] = ()

    def encoded(self, coding: Coding) -> Representation:
        """Encode it; the ETag is a hash of the encoded bytes (RFC 9110 section 8.8.3.3)."""
        body = _compressed(self.body, coding)
        etag = f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'
        own = [("Content-Length", str(len(body))), ("ETag", etag)]
        if coding != "identity":
            own.append(("Content-Encoding", coding))
        return Representation(body, etag, (*self.headers, *own))

    def as_file(self, name: str) -> "Payload":
        """Return it as an attachment, which browsers save under `name` (RFC 6266)."""
        disposition = ("Content-Disposition", f'attachment; filename="{name}"')
        return replace(self, headers=(*self.headers, disposition))


def build(
    snapshot: Snapshot,
    query: ReleaseQuery,
    *,
    today: date,
    stale: bool,
    stale_since: datetime | None = None,
    max_age: int,
    revalidate: int = REVALIDATE,
    root: str = "",
    start: Start = FROM_MEMORY,
    cursor: MakeCursor | None = None,
) -> Payload:
    """Build the response to `query` from `snapshot` on the day `today`, in the zone of the query.

    Releases that cannot be selected or written are left out. `max_age` and `revalidate` go into
    Cache-Control, in seconds (see `lifetime.Lifetime`); `stale_since` is when the data became
    stale; links start with `root`, this server's URL. `cursor` makes cursors, without which pages
    are linked by offset; `start` is where a page of everything begins. Raises BeyondMemory if such
    a page is not in the snapshot.
    """
    since = _change_times(query, today, stale_since)
    keep = max_age, revalidate
    listed, unlisted = pages.select(snapshot, query, today, start, cursor)
    following, preceding = (path and root + path for path in (listed.following, listed.preceding))
    first = root + first_page(query).href if query.cursor else None
    link = links(root, following, preceding, first)
    freshness = snapshot.freshness
    if (form := feeds.FORMATS.get(query.path)) is not None:
        artist = selection.artist_name((*snapshot.albums, *_entries(listed.items)), query)
        channel = _channel(root, query, freshness.as_of, following, artist)
        channel = replace(channel, first=first)
        body, unwritten = isolation.build_together(
            listed.items, lambda part: form.write(channel, _releases(part))
        )
        faults = (*unlisted, *unwritten)
        feed = with_headers(
            body, freshness, keep, link, form.content_type, since=since, left_out=faults
        )
        return feed if form.filename is None else feed.as_file(form.filename)
    about = {
        "total": listed.total,
        "limit": query.limit,
        "offset": query.start,
        "href": root + query.href,
        "next": following,
        "previous": preceding,
        "as_of": freshness.as_of,
        "source": freshness.source,
        "stale": stale,
        "partial": freshness.partial,
        "place": freshness.place,
    }

    def write(part: Sequence[Item]) -> bytes:
        rest = orjson.dumps({"count": len(part), **about}, option=TIMES)
        return json_body.write_list(part, query, rest)

    body, unwritten = isolation.build_together(listed.items, write)
    return with_headers(body, freshness, keep, link, since=since, left_out=(*unlisted, *unwritten))


def _channel(
    root: str,
    query: ReleaseQuery,
    updated: datetime | None,
    following: str | None,
    artist: str | None,
) -> Channel:
    """Describe a feed; one of a single artist has its name and leads to its page."""
    channel = Channel(root + query.href, root + query.home, updated, following, query.title)
    if artist is None:
        return channel
    home = f"{root}/artists/{query.artist[0]}/"
    return replace(channel, home=home, title=f"{clean(artist)} – {query.title}")


def _entries(page: Sequence[Item]) -> list[AlbumEntry]:
    return [each for each in page if isinstance(each, AlbumEntry)]


def _releases(page: Sequence[Item]) -> list[Release]:
    """Return what feeds show of the releases on a page."""
    return [each.release for each in _entries(page)]


def with_headers(
    body: bytes,
    freshness: Freshness,
    keep: tuple[int, int],
    link: str,
    content_type: str = JSON,
    *,
    since: Sequence[datetime] = (),
    left_out: tuple[LeftOut, ...] = (),
) -> Payload:
    """Add the headers that all cacheable responses of the catalogue have.

    `keep` is (max-age, stale-while-revalidate) in seconds (RFC 9111 section 5.2.2.1, RFC 5861
    section 3). `since` are times at which the response changed though its data did not.
    """
    max_age, revalidate = keep
    headers = [
        ("Content-Type", content_type),
        (
            "Cache-Control",
            f"public, max-age={max_age}, stale-while-revalidate={revalidate}, stale-if-error=86400",
        ),
        ("Vary", "Accept-Encoding"),
        ("X-Content-Type-Options", "nosniff"),
        ("Link", link),
    ]
    return Payload(body, (*headers, *_dates(freshness, since)), left_out)


def uncacheable(body: bytes, freshness: Freshness, link: str) -> Payload:
    """Add the headers of a response that caches have to revalidate each time.

    `freshness` must not be newer than the body, or later requests would wrongly get 304.
    """
    headers = (
        ("Content-Type", JSON),
        ("Cache-Control", "no-cache"),
        ("Vary", "Accept-Encoding"),
        ("X-Content-Type-Options", "nosniff"),
        ("Link", link),
    )
    return Payload(body, (*headers, *_dates(freshness)))


def _change_times(query: ReleaseQuery, today: date, stale_since: datetime | None) -> list[datetime]:
    """Return when a response changed though its data did not: at midnight, on becoming stale."""
    midnight = start_of_day(today, query.zone) if depends_on_today(query) else None
    return [each for each in (midnight, stale_since) if each]


def _dates(freshness: Freshness, since: Sequence[datetime] = ()) -> list[tuple[str, str]]:
    if freshness.synced_at is None:
        return []
    known = freshness.synced_at, freshness.as_of, freshness.seen_at, *since
    dates = [each for each in known if each]
    return [  # the body has `last_seen_at`, which every sync moves, and each check that found it
        ("Last-Modified", format_datetime(max(dates), usegmt=True)),
        ("X-Last-Sync", str(utc(freshness.synced_at))),
    ]


def _compressed(body: bytes, coding: Coding) -> bytes:
    large = len(body) > LARGE_BYTES
    if coding == "br":
        quality = BROTLI_QUALITIES[large]
        coded: bytes = brotli.compress(body, mode=brotli.MODE_TEXT, quality=quality)
        return coded
    if coding == "gzip":
        return gzip.compress(body, GZIP_LEVELS[large], mtime=0)
    return body


def links(
    root: str,
    following: str | None = None,
    preceding: str | None = None,
    first: str | None = None,
) -> str:
    """Return a `Link` header: other pages and the API description (RFC 8288, RFC 8631).

    All targets are absolute, because a client may not know the path prefix that a proxy removed.
    """
    description = f"{root}/api/openapi.json"
    named = [(following, "next"), (preceding, "prev"), (first, "first")]
    named.append((description, "service-desc"))
    return ", ".join(f'<{target}>; rel="{relation}"' for target, relation in named if target)
