"""What is served, held in memory: the latest releases with their artists. Pure.

A snapshot holds the first releases in each of two orders, the newest and those first seen last: so
many of all types together, and so many of each type, as its depth says. Below these only some
releases are held, so lists end there. Upcoming releases are held beside these, the nearest ones, so
that however many there are, they take the place of no other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from operator import attrgetter
from typing import NamedTuple

import orjson

from server.catalog.release import Release

MAX_RELEASE_LIMIT = 200
Pieces = Sequence[bytes]  # of JSON, which are joined at the very end, so that each is copied once
TIMES = orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS  # 2026-11-20T05:00:12Z


class Depth(NamedTuple):
    """How many releases of an order are held: of all types together, and of each type."""

    overall: int
    of_type: int


ALBUM_BYTES = 1500  # of a release in memory beside its JSON and the strings that repeat it
IMAGE_BYTES = 210  # of each of its covers beside that
HELD = Depth(500, 300)  # more than any release_limit, for filters take some away


@dataclass(frozen=True, slots=True)
class ArtistEntry:
    """An artist: its public JSON but for its releases, ready made, and what it is sorted by."""

    spotify_id: str
    name: str
    json: bytes

    def pieces(self, albums: Sequence[Pieces]) -> list[bytes]:
        """Its whole public JSON; `albums` are those of its releases, latest first, at least one."""
        whole = [self.json[:-1], b',"latest_album":', *albums[0], b',"albums":[', *albums[0]]
        for album in albums[1:]:
            whole += (b",", *album)
        whole.append(b"]}")
        return whole


@dataclass(frozen=True, slots=True)
class Edition:
    """Which work a release is a version of, and how many words its title has more than the work's.

    A work is told by its main artist, its kind, its year and its title.
    """

    work: tuple[str, str | None, str, str]
    release_date: str | None
    taken: int


@dataclass(frozen=True, slots=True)
class AlbumEntry:
    """A release: its public JSON, ready made, and what it is chosen and sorted by.

    `release` is what feeds and pages show of it. `edition` is None where no artist is credited.
    `text` is what a search looks into, folded; `markets` the codes with a blank around each, None
    where nothing is known of them. `position` is the place in Spotify's list when it was first
    seen.
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

    @property
    def shown_at(self) -> str:
        """When lists without upcoming releases first show it: once it is seen and its day begins.

        A date or a time of UTC, to be compared as text: any date sorts before the times of its day,
        month or year, also one that no calendar has (`2026-13`, `0000`).
        """
        seen = self.created_at.astimezone(UTC).isoformat(timespec="microseconds")
        return max(seen, self.release_date or "")


@dataclass(frozen=True, slots=True)
class Freshness:
    """What is known of the age of the data; all None before the first sync.

    `as_of` is the last change of data, `synced_at` the end of the last sync that brought pages,
    `complete_at` of the last that brought all, from `source` for the reason `why`. `new_at` is when
    albums last came in. `newest_release` is the newest release date, of 4, 7 or 10 characters.
    `run` is the number of the sync that ended at `synced_at`. `watched_since` is the beginning of
    the oldest listing that is kept.
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

    def watched_from(self, today: date) -> date | None:
        """Return the first day (UTC) whose listings are known; None if nothing was listed yet.

        That is `today` at the latest, even if a clock that ran ahead has been put right.
        """
        if self.watched_since is None:
            return None
        return min(self.watched_since.astimezone(UTC).date(), today)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Releases in each order, and how fresh they are.

    `albums` are newest first, `seen` last seen first; in `shown` what counts is when lists without
    upcoming releases first show each. `depth` is down to where each order is whole; None means to
    its end.
    """

    albums: tuple[AlbumEntry, ...]
    freshness: Freshness
    depth: Depth | None = HELD
    seen: tuple[AlbumEntry, ...] = field(init=False)
    shown: tuple[AlbumEntry, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Sort once, not on each request."""
        listed = sorted(self.albums, key=attrgetter("position", "spotify_id"))
        seen = tuple(sorted(listed, key=attrgetter("created_at"), reverse=True))
        shown = tuple(sorted(seen, key=attrgetter("shown_at"), reverse=True))
        object.__setattr__(self, "seen", seen)  # the way to set a field of what is frozen
        object.__setattr__(self, "shown", shown)

    @property
    def size(self) -> int:
        """Bytes in memory, near enough."""
        return sum(
            2 * len(album.json) + ALBUM_BYTES + IMAGE_BYTES * len(album.release.images)
            for album in self.albums
        )

    def only(self, albums: Sequence[AlbumEntry]) -> "Snapshot":
        """Return a snapshot of some of these releases."""
        return self if albums is self.albums else replace(self, albums=tuple(albums))


def freshness_of(snapshot: Snapshot | None) -> Freshness:
    """How fresh what is served is; nothing is known before the first snapshot."""
    return snapshot.freshness if snapshot else Freshness()


def known_days(snapshot: Snapshot | None, now: datetime) -> tuple[date, date | None]:
    """Return today and the first day (UTC) whose listings are known, if any."""
    today = now.astimezone(UTC).date()
    return today, freshness_of(snapshot).watched_from(today)


def trimmed(json: bytes) -> bytes:
    """JSON to be held: a copy, for orjson's bytes keep a buffer of up to eight times their size."""
    return bytes(memoryview(json))


def utc(moment: datetime | None) -> str | None:
    """A time as orjson writes it with TIMES, for headers."""
    return f"{moment.isoformat()[:19]}Z" if moment else None


QUIET = timedelta(hours=72)  # Spotify lists new releases every Friday, and on most days


def is_stuck(new_at: datetime | None, complete_at: datetime | None) -> bool:
    """Whether complete syncs have brought nothing new since `new_at` for too long."""
    return new_at is not None and complete_at is not None and complete_at - new_at >= QUIET
