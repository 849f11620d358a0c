"""Releases and artists as pages show them: a picture, names, links, a line about them. Pure."""

import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, NamedTuple, Self

import orjson

from handlers.pages.presenters.formatting import coming_words, counted, date_words, machine_date
from server.catalog import isolation
from server.catalog.isolation import LeftOut
from server.catalog.release import KINDS, Release, clean

ADDRESS = re.compile(r"https?://[^\s,]+")  # which srcset can hold
NAMED = 4  # artists of a release; how many more there are is counted
LEAST_WIDTH = 200  # pixels; what is narrower looks poor on a wall


class Picture(NamedTuple):
    """A picture on Spotify's servers: one address, and all of them with their widths (srcset)."""

    address: str
    sources: str
    width: int | None
    height: int | None

    @classmethod
    def of(cls, images: Iterable[Mapping[str, Any]] | None) -> Self | None:
        """The picture that comes in these sizes, widest first; None if there is none."""
        good = [each for each in images or () if is_address(each["url"])]
        if not good:
            return None
        wide = [each for each in good if (each["width"] or 0) >= LEAST_WIDTH]
        best = wide[-1] if wide else good[0]
        sources = ", ".join(f"{each['url']} {each['width']}w" for each in wide)
        return cls(best["url"], sources, best["width"], best["height"])


class Card(NamedTuple):
    """A release on the wall; `url` is where it can be heard, `dated` for machines.

    `coming` says in words that its day is to come, and goes before `day`.
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
        """The artists who are named, with their ids."""
        return self.artists[:NAMED]

    @property
    def more(self) -> str:
        """How many artists there are beside those, in words."""
        left = len(self.artists) - NAMED
        return f" and {left} more" if left > 0 else ""

    @property
    def alt(self) -> str:
        """What its cover is: Cover of the EP. Name and artists are beside it, and read once."""
        return f"Cover of the {self.kind if self.kind.isupper() else self.kind.lower()}"


class ArtistCard(NamedTuple):
    """An artist with a page of its own, and its releases, latest first."""

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
        """Read an artist from the JSON that the API shows of it; `today` is the day in UTC.

        A release that cannot be shown is left out.
        """
        artist: dict[str, Any] = orjson.loads(json)
        followers = artist["followers"]
        cards, left_out = isolation.each(
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
    """Whether a browser may be led there, and a page may hold it."""
    return ADDRESS.fullmatch(url) is not None and url.isprintable()
