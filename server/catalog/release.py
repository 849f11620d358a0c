"""What feeds tell of a release, and whether its day is to come. Pure."""

import re
from datetime import date
from typing import Any, NamedTuple, Self

import orjson

UNPRINTABLE = re.compile(  # what neither XML 1.0 nor a calendar may hold
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]"
)
KINDS = {"album": "Album", "single": "Single", "ep": "EP", "compilation": "Compilation"}


class Release(NamedTuple):
    """One release; `cover` and `url` are addresses of Spotify's, times are as the API has them."""

    spotify_id: str
    uri: str
    name: str
    artists: tuple[tuple[str, str], ...]
    url: str | None
    cover: str | None
    kind: str | None
    tracks: int | None
    release_date: str | None
    released_on: str | None
    first_seen: str
    updated: str

    @classmethod
    def read(cls, json: bytes) -> Self:
        """Read a release from the JSON that the API shows of it."""
        album: dict[str, Any] = orjson.loads(json)
        images = album["images"]
        return cls(
            spotify_id=album["spotify_id"],
            uri=album["uri"],
            name=clean(album["name"]),
            artists=tuple([(clean(each["name"]), each["spotify_id"]) for each in album["artists"]]),
            url=album["external_urls"].get("spotify"),
            cover=images[0]["url"] if images else None,
            kind=album["album_type"],
            tracks=album["total_tracks"],
            release_date=album["release_date"],
            released_on=album["released_on"],
            first_seen=album["created_at"],
            updated=album["updated_at"],
        )

    @property
    def by(self) -> str:
        """The artists' names in one line."""
        return ", ".join(name for name, _ in self.artists)

    @property
    def title(self) -> str:
        """The artists and the name in one line."""
        return f"{self.by} – {self.name}" if self.artists else self.name

    @property
    def about(self) -> str:
        """A sentence about it."""
        tracks = f", {self.tracks} track{'' if self.tracks == 1 else 's'}" if self.tracks else ""
        kind = KINDS.get(self.kind or "", (self.kind or "release").capitalize())
        return f"{kind}{tracks}, {self.release_date or 'undated'}"


def is_upcoming(release_date: str | None, today: date) -> bool:
    """Tell whether a release date of 4, 7 or 10 characters lies after `today` (UTC).

    A month or a year that has begun does not; an unknown date does not either.
    """
    return release_date is not None and release_date > today.isoformat()[: len(release_date)]


def clean(text: str) -> str:
    """Text that any format can hold."""
    return text if text.isprintable() else UNPRINTABLE.sub("\ufffd", text)
