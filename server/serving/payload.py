"""From a snapshot and a query to the very bytes and headers of an answer. Pure."""

import gzip
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from email.utils import format_datetime
from typing import Literal

import brotli
import orjson

from server.catalog import isolation
from server.catalog.isolation import LeftOut
from server.catalog.lifetime import REVALIDATE
from server.catalog.query import ReleaseQuery, depends_on_today
from server.catalog.snapshot import TIMES, AlbumEntry, Freshness, Snapshot, utc
from server.serving import feeds, json_body
from server.serving.feeds import Channel, Release
from server.serving.json_body import Item

Coding = Literal["br", "gzip", "identity"]
CODINGS: tuple[Coding, ...] = ("br", "gzip", "identity")
# How hard to press bodies up to LARGE_BYTES, and larger ones, which shall not keep anybody waiting.
# It hangs on nothing but the body, so that every process makes the same bytes at any time.
LARGE_BYTES = 100_000
GZIP_LEVELS = 6, 2
BROTLI_QUALITIES = 5, 2
OVERHEAD_BYTES = 1350  # of a representation beside its body
JSON = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Representation:
    """An answer in one coding: its bytes, its strong ETag, and the headers that are its own."""

    body: bytes
    etag: str
    headers: tuple[tuple[str, str], ...]

    @property
    def size(self) -> int:
        """Bytes in memory, near enough: the body, and what headers and objects were measured at."""
        return OVERHEAD_BYTES + len(self.body)


@dataclass(frozen=True, slots=True)
class Payload:
    """An answer before it is coded, with the headers that all its codings share.

    `left_out` are the items that it cannot hold.
    """

    body: bytes
    headers: tuple[tuple[str, str], ...]
    left_out: tuple[LeftOut, ...] = ()

    def coded(self, coding: Coding) -> Representation:
        """It in one coding, with an ETag of its very bytes (RFC 9110 8.8.3.3)."""
        body = _compressed(self.body, coding)
        etag = f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'
        own = [("Content-Length", str(len(body))), ("ETag", etag)]
        if coding != "identity":
            own.append(("Content-Encoding", coding))
        return Representation(body, etag, (*self.headers, *own))

    def as_file(self, name: str) -> "Payload":
        """It, which browsers save under a name instead of showing it (RFC 6266)."""
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
) -> Payload:
    """Answer `query` from `snapshot` on the day `today` (UTC).

    Releases that cannot be chosen or written are left out.

    `max_age` and `revalidate` are what caches are told, in seconds (see `lifetime.Lifetime`);
    `stale_since` is when the answer turned stale; links are under `root`, this server's address.
    """
    since = _turns(query, today, stale_since)
    keep = max_age, revalidate
    listed, unlisted = isolation.together(
        snapshot.albums, lambda albums: json_body.listed(snapshot.only(albums), query, today)
    )
    end = None if query.limit is None else query.start + query.limit
    page = listed[query.start : end]
    following, preceding = (path and root + path for path in neighbours(query, len(listed)))
    link = links(root, following, preceding)
    freshness = snapshot.freshness
    if (form := feeds.FORMATS.get(query.path)) is not None:
        channel = Channel(root + query.href, f"{root}/", freshness.as_of, following)
        body, unwritten = isolation.together(page, lambda part: form.write(channel, _told(part)))
        faults = (*unlisted, *unwritten)
        made = seal(body, freshness, keep, link, form.content_type, since=since, left_out=faults)
        return made if form.filename is None else made.as_file(form.filename)
    about = {
        "total": len(listed),
        "limit": query.limit,
        "offset": query.start,
        "href": root + query.href,
        "next": following,
        "previous": preceding,
        "as_of": freshness.as_of,
        "source": freshness.source,
        "stale": stale,
        "partial": freshness.partial,
    }

    def write(part: Sequence[Item]) -> bytes:
        rest = orjson.dumps({"count": len(part), **about}, option=TIMES)
        return json_body.written(part, query, rest)

    body, unwritten = isolation.together(page, write)
    return seal(body, freshness, keep, link, since=since, left_out=(*unlisted, *unwritten))


def _told(page: Sequence[Item]) -> list[Release]:
    """What feeds tell of the releases of a page, as all of a feed are."""
    return [each.release for each in page if isinstance(each, AlbumEntry)]


def seal(
    body: bytes,
    freshness: Freshness,
    keep: tuple[int, int],
    link: str,
    content_type: str = JSON,
    *,
    since: Sequence[datetime] = (),
    left_out: tuple[LeftOut, ...] = (),
) -> Payload:
    """A body with the headers that all answers of the catalogue have.

    `keep` are the seconds for which caches may keep it, and for which they may then serve it while
    they fetch another. `since` are the moments at which it has changed beside its data.
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


def unkept(body: bytes, freshness: Freshness, link: str) -> Payload:
    """Add the headers of an answer that caches have to ask about each time.

    `freshness` must not be newer than the body, or a client would be told that nothing has changed.
    """
    headers = (
        ("Content-Type", JSON),
        ("Cache-Control", "no-cache"),
        ("Vary", "Accept-Encoding"),
        ("X-Content-Type-Options", "nosniff"),
        ("Link", link),
    )
    return Payload(body, (*headers, *_dates(freshness)))


def _turns(query: ReleaseQuery, today: date, stale_since: datetime | None) -> list[datetime]:
    """When an answer has changed though its data has not: at midnight, or when it turned stale."""
    midnight = datetime.combine(today, time(), UTC) if depends_on_today(query) else None
    return [each for each in (midnight, stale_since) if each]


def _dates(freshness: Freshness, since: Sequence[datetime] = ()) -> list[tuple[str, str]]:
    if freshness.synced_at is None:
        return []
    dates = [each for each in (freshness.synced_at, freshness.as_of, *since) if each]
    return [  # the body tells when each album was last seen, so it dates from the sync
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


def neighbours(query: ReleaseQuery, total: int) -> tuple[str | None, str | None]:
    """Return the paths of the next and the previous page of a query; they overlap nothing."""
    if query.limit is None:
        return None, None
    end, start = query.start + query.limit, min(query.start, total)
    following = query.page(end, query.limit).href if end < total else None
    if not start:
        return following, None
    size = min(query.limit, start)
    return following, query.page(start - size, size).href


def links(root: str, following: str | None = None, preceding: str | None = None) -> str:
    """Return a `Link` header: the neighbouring pages, and the API's description (RFC 8288, 8631).

    All are absolute, as a client may not know the path that a proxy has taken away.
    """
    description = f"{root}/api/openapi.json"
    named = [(following, "next"), (preceding, "prev"), (description, "service-desc")]
    return ", ".join(f'<{target}>; rel="{relation}"' for target, relation in named if target)
