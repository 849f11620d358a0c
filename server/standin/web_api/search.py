"""The stand-in's search: field filters and words, matched without regard to case."""

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Final

from server.standin.catalogue.catalogue import Catalogue
from server.standin.catalogue.spotify_objects import Json, credited
from server.standin.web_api.paging import BadRequestError

TYPES: Final = ("album", "artist")
"""What can be found here; Spotify also knows tracks, playlists, shows, episodes, audiobooks."""
_TERM: Final = re.compile(r'(?:(tag|album|artist|year):)?(?:"([^"]*)"|(\S+))', re.IGNORECASE)

Terms = list[tuple[str, str]]


def terms(text: str) -> Terms:
    """A query as pairs of field and value, both in lower case; a plain word's field is empty."""
    return [
        (found[1].lower() if found[1] else "", (found[2] or found[3] or "").casefold())
        for found in _TERM.finditer(text)
    ]


def find(catalogue: Catalogue, text: str, kind: str, today: date) -> list[Any]:
    """The items of `kind` that a query finds, in the order of the listing.

    Null and broken items come along with `tag:new` alone, as Spotify sends them there.
    """
    wanted = terms(text)
    if kind == "artist":
        return [a for a in catalogue.artists().values() if _matches(a, wanted, _ARTIST)]
    if wanted == [("tag", "new")]:
        return catalogue.new(today)
    new = ("tag", "new") in wanted
    pool = catalogue.new(today) if new else catalogue.albums
    return [item for item in pool if isinstance(item, dict) and _matches(item, wanted, _ALBUM)]


def searched_types(query: Mapping[str, str]) -> list[str]:
    """The kinds of items a query asks for; raises BadRequestError with Spotify's words."""
    if not query.get("type"):
        raise BadRequestError("Missing parameter type")
    kinds = query["type"].split(",")
    for kind in kinds:
        if kind not in TYPES:
            raise BadRequestError(f"Bad search type field {kind}")
    return kinds


def _matches(item: Json, wanted: Terms, tests: Mapping[str, Callable[[Json, str], bool]]) -> bool:
    return all(field in tests and tests[field](item, value) for field, value in wanted)


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
