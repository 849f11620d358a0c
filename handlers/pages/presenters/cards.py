"""Releases and artists as cards: a picture, names, links and a line of facts. Pure."""

import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, NamedTuple, Self

import orjson

from handlers.pages.presenters.formatting import coming_words, counted, date_words, machine_date
from server.catalog import isolation
from server.catalog.isolation import LeftOut
from server.catalog.release import KINDS, Release, clean

ADDRESS = re.compile(r"https?://[^\s,]+")  # without characters that srcset cannot hold
MAX_NAMED = 4  # artists of a release that are named; the others are counted
MIN_WIDTH = 200  # pixels; narrower pictures look poor in the grid


class Picture(NamedTuple):
    """A picture on Spotify's servers: one URL, and all sizes as a `srcset`."""

    address: str
    sources: str
    width: int | None
    height: int | None

    @classmethod
    def of(cls, images: Iterable[Mapping[str, Any]] | None) -> Self | None:
        """Create a picture from its sizes, widest first; None without a usable one."""
        good = [each for each in images or () if is_address(each["url"])]
        if not good:
            return None
        wide = [each for each in good if (each["width"] or 0) >= MIN_WIDTH]
        best = wide[-1] if wide else good[0]
        sources = ", ".join(f"{each['url']} {each['width']}w" for each in wide)
        return cls(best["url"], sources, best["width"], best["height"])


class Card(NamedTuple):
    """A release in the grid.

    `url` is its page on Spotify. `day` is the release date in words, `dated` the same for
    `<time datetime>`; `coming` precedes it in words if the release is upcoming.
    """

    spotify_id: str
    name: str
    artists: tuple[tuple[str, str], ...]
    url: str | None
    picture: Picture | None
    kind: str
    about: str
    dated: str | None
    day: str
    coming: str | None

    @classmethod
    def of(cls, release: Release, today: date) -> Self:
        """Present a release; `today` is the day in UTC."""
        kind, tracks = KINDS.get(release.kind or "", "Release"), release.tracks
        return cls(
            spotify_id=release.spotify_id,
            name=release.name,
            artists=release.artists,
            url=_web(release.address),
            picture=Picture.of(release.images),
            kind=kind,
            about=f"{kind}, {counted(tracks, 'track')}" if tracks else kind,
            dated=machine_date(release.release_date),
            day=date_words(release.release_date),
            coming=coming_words(release.release_date, today),
        )

    @property
    def named(self) -> tuple[tuple[str, str], ...]:
        """The names and ids of the first four artists."""
        return self.artists[:MAX_NAMED]

    @property
    def more(self) -> str:
        """The number of further artists, in words."""
        left = len(self.artists) - MAX_NAMED
        return f" and {left} more" if left > 0 else ""

    @property
    def alt(self) -> str:
        """The alternative text of the cover, without name and artists, which are next to it."""
        return f"Cover of the {self.kind if self.kind.isupper() else self.kind.lower()}"


class ArtistCard(NamedTuple):
    """The page of an artist: its data and its releases, latest first."""

    spotify_id: str
    name: str
    url: str | None
    picture: Picture | None
    genres: tuple[str, ...]
    followers: str | None
    releases: tuple[Card, ...]
    left_out: tuple[LeftOut, ...] = ()

    @classmethod
    def read(cls, json: bytes, today: date) -> Self:
        """Create the page from the API's JSON of the artist; `today` is the day in UTC.

        A release that cannot be shown is left out.
        """
        artist: dict[str, Any] = orjson.loads(json)
        followers = artist["followers"]
        cards, left_out = isolation.build_each(
            artist["albums"], lambda each: Card.of(Release.of(each), today)
        )
        return cls(
            spotify_id=artist["spotify_id"],
            name=clean(artist["name"]),
            url=_web(artist["external_urls"].get("spotify")),
            picture=Picture.of(artist["images"]),
            genres=tuple(clean(each) for each in artist["genres"] or ()),
            followers=None if followers is None else counted(followers, "follower"),
            releases=tuple(cards),
            left_out=left_out,
        )


def _web(address: str | None) -> str | None:
    """Return an address if a page may link to it."""
    return address if address and is_address(address) else None


def is_address(url: str) -> bool:
    """Return whether a page may link to an address: http(s), and fit for `srcset`."""
    return ADDRESS.fullmatch(url) is not None and url.isprintable()
