"""The snapshot that a process serves from: the latest releases with their artists. Pure.

A snapshot holds the first releases in each of two orders, newest first and last seen first: its
depth says how many of all types together, and of each type. Beyond that only some releases are in
memory, so lists end there. The nearest upcoming releases are held in addition, so that they never
displace others.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from operator import attrgetter, methodcaller
from typing import NamedTuple

import orjson

from server.catalog.release import Release
from server.catalog.zones import FIRST, day_in

MAX_RELEASE_LIMIT = 200
Pieces = Sequence[bytes]  # of JSON, joined at the very end, so that each is copied once
TIMES = orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS  # 2026-11-20T05:00:12Z


class Depth(NamedTuple):
    """How many releases of each order a snapshot holds: of all types together, and of each type."""

    overall: int
    of_type: int


NAME_LENGTH = 100  # characters by which releases and artists are ordered by name
ALBUM_BYTES = 1500  # of a release in memory beside its JSON and the strings that repeat it
IMAGE_BYTES = 210  # of each of its covers beside that
HELD = Depth(500, 300)  # more than any release_limit, because filters remove some


@dataclass(frozen=True, slots=True)
class ArtistEntry:
    """An artist: its public JSON without releases, and the fields that it is sorted by.

    `folded_name` is the name as a search compares it.
    """

    spotify_id: str
    name: str
    json: bytes
    folded_name: str = ""

    def pieces(self, albums: Sequence[Pieces]) -> list[bytes]:
        """Return its public JSON with its releases, latest first; `albums` must not be empty."""
        parts = [self.json[:-1], b',"latest_album":', *albums[0], b',"albums":[', *albums[0]]
        for album in albums[1:]:
            parts += (b",", *album)
        parts.append(b"]}")
        return parts


@dataclass(frozen=True, slots=True)
class Edition:
    """The work that a release is a version of: a hash of what its versions share.

    `removed` is the number of words that were stripped from the title.
    """

    work: str
    release_date: str | None
    removed: int


@dataclass(frozen=True, slots=True)
class AlbumEntry:
    """A release: its public JSON, its fields, and the values that it is selected and sorted by.

    `release` is what feeds and pages show. `edition` is None without a credited artist. `text` is
    the normalised text that a search looks into; `markets` has the country codes with a space
    around each, None if unknown. `position` is the index in Spotify's list when first seen.
    """

    release: Release

    album_type: str | None
    created_at: datetime
    json: bytes
    artists: tuple[ArtistEntry, ...]
    spotify_id: str = ""
    various_artists: bool = False
    edition: Edition | None = None
    release_date: str | None = None
    text: str = ""
    markets: str | None = None
    position: int = 0

    def shown_at(self, where: tzinfo = UTC) -> tuple[str, datetime]:
        """When lists without upcoming releases first show it: once it is seen and its day begins.

        A day in the zone `where`, and a time. Days are compared as text: a month or year sorts
        before its first day, and even an invalid date (`2026-13`, `0000`) has a place.
        """
        seen = self.created_at.astimezone(where).date().isoformat()
        dated = self.release_date or ""
        return (dated, FIRST) if dated > seen else (seen, self.created_at)


@dataclass(frozen=True, slots=True)
class Freshness:
    """How fresh the data is; all None before the first sync.

    `as_of` is the last change of the data; `synced_at` the end of the last sync that did not fail,
    whose id is `run`, which read `source` for the reason `why` and was `partial` if it missed
    pages; `complete_at` the end of the last complete one. `new_at` is when releases were last
    added, `newest_release` the newest release date, of 4, 7 or 10 characters, and `watched_since`
    the start of the oldest stored listing. `seen_at` is when a check of an artist last found a
    release, whose `last_seen_at` it moved even if nothing else has changed. `place` is the place in
    the journal of the newest change that the data has.
    """

    as_of: datetime | None = None
    synced_at: datetime | None = None
    complete_at: datetime | None = None
    source: str | None = None
    partial: bool = False
    why: str | None = None
    new_at: datetime | None = None
    newest_release: str | None = None
    run: int | None = None
    watched_since: datetime | None = None
    seen_at: datetime | None = None
    place: str = "0"

    def watched_from(self, today: date, where: tzinfo = UTC) -> date | None:
        """Return the first day in a zone whose listings are known; None without any listing.

        It is `today` at the latest, even if a clock that ran ahead has been corrected.
        """
        if self.watched_since is None:
            return None
        return min(day_in(self.watched_since, where), today)


Found = tuple[bytes, Freshness]  # the JSON of one artist or release, and how fresh it is


class Baseline(NamedTuple):
    """What was stored at some moment: the highest id of each table that readings use.

    Ids only grow, so it tells what has been added or changed since (see `reading`).
    """

    albums: int
    former_albums: int
    former_artists: int

    def has_changes_since(self, earlier: "Baseline") -> bool:
        """Return whether an album or artist has changed since; one may have been added if not."""
        return self[1:] != earlier[1:]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Releases in each order, and how fresh they are.

    `albums` are newest first, `seen` last seen first, `shown` sorted by when lists without upcoming
    releases first show them, latest first. Each order is complete down to `depth`; None means to
    its end. `whole` is whether there are no others in the database, of those that `albums` are
    about. `baseline` is what the database held; None if readings cannot begin here.
    """

    albums: tuple[AlbumEntry, ...]
    freshness: Freshness
    depth: Depth | None = HELD
    baseline: Baseline | None = None
    whole: bool = False
    seen: tuple[AlbumEntry, ...] = field(init=False)
    shown: tuple[AlbumEntry, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Sort once rather than on each request."""
        listed = sorted(self.albums, key=attrgetter("position", "spotify_id"))
        seen = tuple(sorted(listed, key=attrgetter("created_at"), reverse=True))
        shown = tuple(sorted(seen, key=methodcaller("shown_at"), reverse=True))
        object.__setattr__(self, "seen", seen)  # the dataclass is frozen
        object.__setattr__(self, "shown", shown)

    @property
    def size(self) -> int:
        """Estimated bytes in memory."""
        return sum(
            2 * len(album.json) + ALBUM_BYTES + IMAGE_BYTES * len(album.release.images)
            for album in self.albums
        )

    def only(self, albums: Sequence[AlbumEntry]) -> "Snapshot":
        """Return a snapshot of some of these releases."""
        return self if albums is self.albums else replace(self, albums=tuple(albums))


def freshness_of(snapshot: Snapshot | None) -> Freshness:
    """Return the freshness of a snapshot; an empty one before the first."""
    return snapshot.freshness if snapshot else Freshness()


def trimmed(json: bytes) -> bytes:
    """Copy JSON that stays in memory: orjson's bytes keep a buffer of up to 8 times their size."""
    return bytes(memoryview(json))


def utc(moment: datetime | None) -> str | None:
    """Write a UTC time as orjson does with TIMES; None for None."""
    return f"{moment.isoformat()[:19]}Z" if moment else None


QUIET = timedelta(hours=72)  # Spotify lists new releases every Friday, and on most days


def is_stuck(new_at: datetime | None, complete_at: datetime | None) -> bool:
    """Return whether complete syncs have brought no new release for 72 hours."""
    return new_at is not None and complete_at is not None and complete_at - new_at >= QUIET
