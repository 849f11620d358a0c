"""What is served, held in memory: the latest releases with their artists. Pure.

A snapshot holds the latest 300 releases of every type and overall, so any window that a request may
ask for is in it, with room for what it leaves out, and no request needs the database.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson

DEPTH = 200  # the greatest release_limit
HELD = 300  # releases of each type and overall; what `exclude` takes away is made up from the rest
TIMES = orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS  # 2026-11-20T05:00:12Z


@dataclass(frozen=True, slots=True)
class ArtistEntry:
    """An artist: its public JSON but for its releases, ready made, and what it is sorted by."""

    spotify_id: str
    name: str
    json: bytes

    def with_albums(self, albums: Sequence[bytes]) -> bytes:
        """Its whole public JSON; `albums` is that of its releases, latest first, at least one."""
        latest, all_ = albums[0], b",".join(albums)
        return b'%b,"latest_album":%b,"albums":[%b]}' % (self.json[:-1], latest, all_)


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

    `edition` is None where no artist is credited. `text` is what a search looks into, folded;
    `markets` the codes with a blank around each, None where nothing is known of them.
    """

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


@dataclass(frozen=True, slots=True)
class Freshness:
    """What is known of the age of the data; all None before the first sync.

    `as_of` is the last change of data, `synced_at` the end of the last sync that brought pages,
    `complete_at` of the last that brought all, from `source` for the reason `why`. `new_at` is when
    albums last came in. `newest_release` is the newest release date, of 4, 7 or 10 characters.
    """

    as_of: datetime | None = None
    synced_at: datetime | None = None
    complete_at: datetime | None = None
    source: str | None = None
    partial: bool = False
    why: str | None = None
    new_at: datetime | None = None
    newest_release: str | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The latest releases, newest first, and how fresh they are."""

    albums: tuple[AlbumEntry, ...]
    freshness: Freshness


def trimmed(json: bytes) -> bytes:
    """JSON to be held: a copy, for orjson's bytes keep a buffer of up to eight times their size."""
    return bytes(memoryview(json))


def utc(moment: datetime | None) -> str | None:
    """A time as orjson writes it with TIMES, for headers."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None
