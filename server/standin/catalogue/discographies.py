"""Artists with all their records, most of which the listing of new releases never shows."""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any, Final

from server.standin.catalogue.ids import seeded_random, spotify_id
from server.standin.catalogue.releases import band, compose
from server.standin.catalogue.spotify_objects import Json, credited, simplified_artist

GROUPS: Final = ("album", "single", "compilation", "appears_on")
"""The values of `include_groups`, in the order in which Spotify sends them."""
_RECENT: Final = 31
_OLDEST: Final = 6000
_CURRENT: Final = 0.15
"""The part of the artists whose last record is less than `_RECENT` days old."""


class Discographies:
    """Artists by id, and their records; older ones are generated when they are first asked for."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._artists: dict[str, Json] = {}
        self._since: dict[str, date] = {}
        self._records: dict[str, dict[str, Json]] = {}
        self._albums: dict[str, Json] = {}

    @property
    def artists(self) -> dict[str, Json]:
        """The simplified artists by id."""
        return self._artists

    def invent(self, number: int, today: date) -> list[str]:
        """Add `number` invented artists with their records until `today`; return their ids.

        The same numbers and seed give the same artists.
        """
        added = []
        for place in range(len(self._artists), len(self._artists) + number):
            rng = seeded_random(self._seed, "invented", place)
            identifier = spotify_id(self._seed, "invented", place)
            self.add(simplified_artist(identifier, band(rng)[1]))
            self._since[identifier] = today
            added.append(identifier)
        return added

    def add(self, artist: Json, records: Iterable[Json] = ()) -> None:
        """Add an artist with these records, or records to an artist that is known."""
        self._artists.setdefault(artist["id"], artist)
        for record in records:
            self._records.setdefault(artist["id"], {})[record["id"]] = record
            self._albums[record["id"]] = record

    def of(self, identifier: str) -> list[Json]:
        """Return the records of an artist, in no particular order."""
        since = self._since.pop(identifier, None)
        if since is not None:
            self.add(self._artists[identifier], self._older(identifier, since))
        return list(self._records.get(identifier, {}).values())

    def album(self, identifier: str) -> Json | None:
        """Return the record with that id, None if there is none or it was never asked for."""
        return self._albums.get(identifier)

    def named(self, name: str) -> list[str]:
        """Return the ids of the artists with `name`, in lower case, in their names."""
        return [
            identifier
            for identifier, artist in self._artists.items()
            if name in str(artist.get("name")).casefold()
        ]

    def _older(self, identifier: str, today: date) -> list[Json]:
        rng = seeded_random(self._seed, "records", identifier)
        number = int(10 ** rng.uniform(0.3, 1.8))
        ages = [rng.randint(_RECENT, _OLDEST) for _ in range(number)]
        if rng.random() < _CURRENT:
            ages[0] = rng.randint(0, _RECENT - 1)
        return [
            self.record(identifier, ("older", place), today - timedelta(days=age))
            for place, age in enumerate(ages)
        ]

    def record(self, identifier: str, key: tuple[object, ...], released: date) -> Json:
        """Return an invented record of `key` by a known artist, first of those credited."""
        album = compose(self._seed, (identifier, *key), released)
        return album | {"artists": [self._artists[identifier], *album["artists"][1:]]}


def group_of(album: Json, artist_id: str) -> str:
    """Return the group in which an artist's page shows an album: guests only appear on it."""
    first = next((artist.get("id") for artist in credited(album)), None)
    if first != artist_id:
        return "appears_on"
    kind = album.get("album_type")
    return "single" if kind == "ep" else str(kind)


def grouped(albums: Iterable[Json], artist_id: str) -> list[Json]:
    """Return an artist's albums as Spotify orders them, each with its `album_group`.

    Groups follow one another, the newest album first in each; `appears_on` has no order.
    """
    known = [album | {"album_group": group_of(album, artist_id)} for album in albums]
    ordered: list[Json] = []
    for group in GROUPS:
        members = [album for album in known if album["album_group"] == group]
        if group == "appears_on":
            members.sort(key=_shuffled)
        else:
            members.sort(key=_newest, reverse=True)
        ordered += members
    return ordered


def _newest(album: Json) -> tuple[str, str]:
    return str(album.get("release_date") or ""), str(album.get("id"))


def _shuffled(album: Any) -> float:
    return seeded_random("appears_on", album.get("id")).random()
