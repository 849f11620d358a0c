"""The stand-in's search: field filters and words, matched case-insensitively."""

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Final

from server.standin.catalogue.spotify_objects import Json, credited
from server.standin.web_api.paging import BadRequestError
from server.standin.world import ArtistSearch, World

TYPES: Final = ("album", "artist")
"""Supported types; Spotify also has tracks, playlists, shows, episodes and audiobooks."""
_TERM: Final = re.compile(r'(?:(tag|album|artist|year):)?(?:"([^"]*)"|(\S+))', re.IGNORECASE)

Terms = list[tuple[str, str]]


def terms(text: str) -> Terms:
    """Return a query as (field, value) pairs in lower case; the field of a plain word is empty."""
    return [
        (found[1].lower() if found[1] else "", (found[2] or found[3] or "").casefold())
        for found in _TERM.finditer(text)
    ]


def find(world: World, text: str, kind: str, today: date) -> list[Any]:
    """Return the items of `kind` that match a query, in the order of the listing.

    Null and broken items are included for `tag:new` alone, as Spotify sends them there.
    """
    required, catalogue = terms(text), world.catalogue
    if kind == "artist":
        return [a for a in catalogue.artists().values() if _matches(a, required, _ARTIST)]
    if required == [("tag", "new")]:
        return catalogue.new(today)
    names = [value for field, value in required if field == "artist"]
    if ("tag", "new") in required and names:
        return _new_of(world, names, required, today)
    new = ("tag", "new") in required
    pool = catalogue.new(today) if new else catalogue.albums
    return [item for item in pool if isinstance(item, dict) and _matches(item, required, _ALBUM)]


def _new_of(world: World, names: list[str], required: Terms, today: date) -> list[Any]:
    if world.artist_search is ArtistSearch.EMPTY:
        return []
    if world.artist_search is ArtistSearch.IGNORED:
        return world.catalogue.new(today)
    found = world.catalogue.new_of(names[0], today)
    return [album for album in found if _matches(album, required, _ALBUM)]


def searched_types(query: Mapping[str, str]) -> list[str]:
    """Return the requested types. Raises BadRequestError, with Spotify's messages."""
    if not query.get("type"):
        raise BadRequestError("Missing parameter type")
    kinds = query["type"].split(",")
    for kind in kinds:
        if kind not in TYPES:
            raise BadRequestError(f"Bad search type field {kind}")
    return kinds


def _matches(item: Json, required: Terms, tests: Mapping[str, Callable[[Json, str], bool]]) -> bool:
    return all(field in tests and tests[field](item, value) for field, value in required)


def _name(item: Json, value: str) -> bool:
    return value in str(item.get("name")).casefold()


def _artist_of(item: Json, value: str) -> bool:
    return any(_name(artist, value) for artist in credited(item))


_ALBUM: Final[dict[str, Callable[[Json, str], bool]]] = {
    "": lambda item, value: _name(item, value) or _artist_of(item, value),
    "album": _name,
    "artist": _artist_of,
    "tag": lambda _, value: value == "new",
    "year": lambda item, value: str(item.get("release_date")).startswith(value),
}
_ARTIST: Final[dict[str, Callable[[Json, str], bool]]] = {"": _name, "artist": _name}
