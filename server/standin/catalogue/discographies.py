"""Artists with all their records, most of which the listing of new releases never shows."""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any, Final

from server.standin.catalogue.ids import seeded_random, spotify_id
from server.standin.catalogue.releases import band, compose
from server.standin.catalogue.spotify_objects import Json, credited, simplified_artist

GROUPS: Final = ("album", "single", "compilation", "appears_on")
"""The values of `include_groups`, in the order in which Spotify sends them."""
_OLD: Final = date(2026, 1, 1)
"""The day before which an artist's older records came out, whatever day it is now."""
_OLDEST: Final = 6000
"""The most days between an older record and `_OLD`."""
_RECENT: Final = 60
_OUTPUT: Final = 0.006
"""The probability of a record on each of the last `_RECENT` days."""


class Discographies:
    """Artists by id, and their records; older ones are generated when they are first asked for."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._artists: dict[str, Json] = {}
        self._until: dict[str, date] = {}
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
            artist = simplified_artist(spotify_id(self._seed, "invented", place), band(rng)[1])
            self.invent_records(artist, today)
            added.append(artist["id"])
        return added

    def invent_records(self, artist: Json, today: date) -> None:
        """Give an artist invented records until `today`, unless it is known already.

        Each has the same id and the same day after a restart.
        """
        if artist["id"] not in self._artists:
            self.add(artist)
            self._until[artist["id"]] = today

    def add(self, artist: Json, records: Iterable[Json] = ()) -> None:
        """Add an artist with these records, or records to an artist that is known."""
        self._artists.setdefault(artist["id"], artist)
        for record in records:
            self._records.setdefault(artist["id"], {})[record["id"]] = record
            self._albums[record["id"]] = record

    def of(self, identifier: str) -> list[Json]:
        """Return the records of an artist, in no particular order."""
        until = self._until.pop(identifier, None)
        if until is not None:
            self.add(self._artists[identifier], self._invented(identifier, until))
        return list(self._records.get(identifier, {}).values())

    def album(self, identifier: str) -> Json | None:
        """Return the record with that id, None if there is none."""
        if identifier not in self._albums:
            for artist in [*self._until]:
                self.of(artist)
        return self._albums.get(identifier)

    def named(self, name: str) -> list[str]:
        """Return the ids of the artists with `name`, in lower case, in their names."""
        return [
            identifier
            for identifier, artist in self._artists.items()
            if name in str(artist.get("name")).casefold()
        ]

    def _invented(self, identifier: str, today: date) -> list[Json]:
        rng = seeded_random(self._seed, "records", identifier)
        number = int(10 ** rng.uniform(0.3, 1.8))
        old = [_OLD - timedelta(days=rng.randint(1, _OLDEST)) for _ in range(number)]
        days = [today - timedelta(days=age) for age in range(_RECENT)]
        recent = [day for day in days if self._has_record(identifier, day)]
        return [
            *(self.record(identifier, ("old", place), day) for place, day in enumerate(old)),
            *(self.record(identifier, ("recent", day), day) for day in recent),
        ]

    def _has_record(self, identifier: str, day: date) -> bool:
        return seeded_random(self._seed, "recent", identifier, day).random() < _OUTPUT

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
