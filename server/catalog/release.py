"""What feeds, pages and the journal show of a release; whether it is upcoming. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

# Noncharacters: the last two code points of each plane (and 32 of the first, named below).
NONCHARACTERS = "".join(
    chr(plane * 0x10000 + end) for plane in range(17) for end in (0xFFFE, 0xFFFF)
)
UNPRINTABLE = re.compile(  # what XML 1.0, HTML or a calendar may not hold
    f"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef{NONCHARACTERS}]"
)
# EP, E.P. or EP2 anywhere; at the end in any case, where "Ep." is hardly an episode.
EP = re.compile(r"(?<!\w\.)\bE\.?P\d*(?!\.?[^\W\d_])|(?i:\bep\W*)$")
MAX_SINGLE_TRACKS, MAX_EP_TRACKS = 3, 6  # tracks
MAX_CREDITS = 20  # artists in a summary
MAX_NAME_LENGTH = 200  # characters in a summary
MAX_URL_LENGTH = 2000  # characters in a summary
MIN_NOTIFICATION_WIDTH = 250  # pixels; the least width of a cover for a notification
VARIOUS_ARTISTS = "0LyfQWJT6nXafLPZqxe9Of"  # Spotify's own id for "Various Artists"
TYPES = {  # of Spotify, for each kind: a release of that kind has one of them
    "single": ("single",),
    "ep": ("ep", "single"),
    "album": ("album", "single"),
    "compilation": ("compilation",),
}
KINDS = {"album": "Album", "single": "Single", "ep": "EP", "compilation": "Compilation"}


class Release(NamedTuple):
    """What feeds and pages show of one release, read once.

    Texts are `clean`, but for `address` and `images`: Spotify's page of the release and its covers,
    widest first, as they are stored. `url` is `address` made clean, `cover` the address of the
    widest cover. `type` is Spotify's word for what it is, `kind` that of `kind_of`. Times are as
    the API writes them; `updated` is the last significant change.
    """

    spotify_id: str
    uri: str
    name: str
    artists: tuple[tuple[str, str], ...]
    address: str | None
    url: str | None
    images: Sequence[Mapping[str, Any]]
    cover: str | None
    type: str | None
    kind: str | None
    tracks: int | None
    release_date: str | None
    released_on: str | None
    first_seen: str
    updated: str

    @classmethod
    def of(cls, album: Mapping[str, Any], updated: str | None = None) -> Self:
        """Take a release from the object that the API shows of it.

        `updated` is the time of its last significant change (default: its last change). Raises
        LookupError, TypeError or AttributeError for a stored value of another shape.
        """
        images, address = album["images"] or (), album["external_urls"].get("spotify")
        return cls(
            spotify_id=album["spotify_id"],
            uri=clean(album["uri"]),
            name=clean(album["name"]),
            artists=tuple([(clean(each["name"]), each["spotify_id"]) for each in album["artists"]]),
            address=address,
            url=clean_if_any(address),
            images=images,
            cover=clean(images[0]["url"]) if images else None,
            type=clean_if_any(album["album_type"]),
            kind=clean_if_any(album["kind"]),
            tracks=album["total_tracks"],
            release_date=album["release_date"],
            released_on=album["released_on"],
            first_seen=album["created_at"],
            updated=updated or album["updated_at"],
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
        """Its kind, number of tracks and release date, in words."""
        tracks = f", {self.tracks} track{'' if self.tracks == 1 else 's'}" if self.tracks else ""
        kind = KINDS.get(self.kind or "", (self.kind or "release").capitalize())
        return f"{kind}{tracks}, {self.release_date or 'undated'}"


def is_upcoming(release_date: str | None, today: str) -> bool:
    """Return whether a release date of 4, 7 or 10 characters is after `today` (YYYY-MM-DD, UTC).

    A month or year that has started is not, since it sorts before all its days; nor is an unknown
    date.
    """
    return release_date is not None and release_date > today


def clean(text: str) -> str:
    """Replace characters that XML, HTML or a calendar may not hold by U+FFFD."""
    return text if text.isprintable() else UNPRINTABLE.sub("\ufffd", text)


def clean_if_any(text: str | None) -> str | None:
    """Return `clean(text)`, or None for None."""
    return None if text is None else clean(text)


def kind_of(album_type: str | None, name: str, tracks: int | None) -> str | None:
    """Return the kind of a release as listeners know it.

    Spotify reports EPs as singles: a single with EP in its title or with 4 to 6 tracks is an `ep`,
    one with more tracks an `album`. Every other type is returned unchanged.
    """
    if album_type != "single":
        return album_type
    if EP.search(name):
        return "ep"
    if (tracks or 0) > MAX_EP_TRACKS:
        return "album"
    return "ep" if (tracks or 0) > MAX_SINGLE_TRACKS else "single"


def summary(album: Mapping[str, Any], artists: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Return a summary of a release of bounded size, sufficient for a notification.

    `album` has the fields of the table, `artists` are (spotify_id, name) in the order of the
    credits. Only the first 20 artists are included, names are cut to 200 characters, and a URL of
    more than 2,000 characters is null.
    """
    return {
        "name": _shortened(album["name"]),
        "artists": [
            {"spotify_id": spotify_id, "name": _shortened(name)}
            for spotify_id, name in artists[:MAX_CREDITS]
        ],
        "kind": kind_of(album["album_type"], album["name"], album["total_tracks"]),
        "release_date": album["release_date"],
        "url": _bounded(_address(album)),
        "image": _image(_covers(album)),
    }


def significant(album: Mapping[str, Any], artists: Sequence[str] | None) -> tuple[Any, ...]:
    """Return the values of a release whose change is significant to subscribers of feeds.

    Markets, smaller covers and Spotify's own identifiers are not. Source: RFC 4287 section 4.2.15.
    """
    return (
        *(album[name] for name in ("name", "album_type", "release_date", "total_tracks")),
        _address(album),
        [each["url"] for each in _covers(album)[:1]],
        list(artists or ()),
    )


def _image(covers: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the address of the narrowest cover of 250 pixels or more, or else of the widest."""
    usable = [each for each in covers if len(each["url"]) <= MAX_URL_LENGTH]
    wide = [each for each in usable if (each.get("width") or 0) >= MIN_NOTIFICATION_WIDTH]
    if wide:
        return str(min(wide, key=lambda each: each["width"])["url"])
    return str(usable[0]["url"]) if usable else None


def _covers(album: Mapping[str, Any]) -> list[Any]:
    """Return the valid covers, widest first; a row may hold any JSON."""
    images = album["images"] if isinstance(album["images"], list) else []
    return [
        each
        for each in images
        if isinstance(each, dict)
        and isinstance(each.get("url"), str)
        and isinstance(each.get("width", 0), int | None)
    ]


def _address(album: Mapping[str, Any]) -> str | None:
    """Return the URL of a release on Spotify; None if it is missing or not text."""
    urls = album["external_urls"]
    address = urls.get("spotify") if isinstance(urls, dict) else None
    return address if isinstance(address, str) else None


def _shortened(name: str) -> str:
    return name if len(name) <= MAX_NAME_LENGTH else f"{name[: MAX_NAME_LENGTH - 1]}…"


def _bounded(address: str | None) -> str | None:
    return address if address and len(address) <= MAX_URL_LENGTH else None
