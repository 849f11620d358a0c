"""The stand-in's catalogue: the listing of new releases, and the artists in it."""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import count, islice
from typing import Any, Final, Self

from server.standin.catalogue.ids import seeded_random
from server.standin.catalogue.releases import compose, release_of_day
from server.standin.catalogue.spotify_objects import Json, credited

LISTED: Final = 100
"""The number of albums that new-releases and `tag:new` show at most."""
_MAX_ALBUMS: Final = 1000
_FRIDAY: Final = 4


class Catalogue:
    """Albums in the order of the listing, newest publication first.

    `albums` holds SimplifiedAlbumObjects, and whatever tests put between them: null and broken
    items are served unchanged. An album whose id is in `withheld` counts in totals and offsets but
    is left out of pages, which makes them shorter. `recent_days` is the age up to which `tag:new`
    finds an album; None finds all.
    """

    def __init__(
        self,
        albums: Iterable[Any] = (),
        *,
        seed: int = 1,
        withheld: Iterable[str] = (),
        recent_days: int | None = 14,
    ) -> None:
        self.albums: list[Any] = list(albums)
        self.seed = seed
        self.withheld = set(withheld)
        self.recent_days = recent_days
        self._last_published: tuple[str, int] = ("", 0)

    @classmethod
    def generate(cls, *, today: date, seed: int = 1, size: int = 120, quirks: bool = True) -> Self:
        """Generate `size` releases of `today` and the days before, the same for equal arguments.

        An album's id follows from its day and place, so tomorrow's catalogue is today's with new
        releases on top. With `quirks` the listing also has the peculiarities of the real one;
        without, it is exactly as Spotify documents it.
        """
        albums: list[Any] = list(islice(_releases(seed, today, quirks=quirks), size))
        withheld = set()
        if quirks and size >= LISTED:
            withheld = {albums[place]["id"] for place in (33, 34, 71)}
            albums.insert(3, release_of_day(seed, _friday_before(today), 1, quirks=False))
            albums.insert(50, None)
        return cls(albums, seed=seed, withheld=withheld)

    def publish(self, now: datetime) -> Json:
        """Add a new release, dated `now`'s day (UTC), at the top of the listing; return it.

        Its id follows from `now`, and from the number of releases published at that very moment.
        """
        now = now.astimezone(UTC)
        moment = now.isoformat()
        last, number = self._last_published
        number = number + 1 if moment == last else 0
        self._last_published = (moment, number)
        album = compose(self.seed, ("published", moment, number), now.date())
        self.albums.insert(0, album)
        del self.albums[_MAX_ALBUMS:]
        return album

    def listing(self) -> list[Any]:
        """Return the items that new-releases pages through."""
        return self.albums[:LISTED]

    def new(self, today: date) -> list[Any]:
        """Return the items that a search for `tag:new` pages through, up to `recent_days` old."""
        return [item for item in self.albums if self._is_new(item, today)][:LISTED]

    def _is_new(self, item: Any, today: date) -> bool:
        released = item.get("release_date") if isinstance(item, dict) else None
        if self.recent_days is None or not isinstance(released, str) or released < "0001":
            return True
        oldest = (today - timedelta(days=self.recent_days)).isoformat()
        return released >= oldest[: len(released)]

    def album(self, identifier: str) -> Json | None:
        """Return the simplified album with that id, None if there is none."""
        return next(
            (album for album in self._valid_albums() if album.get("id") == identifier), None
        )

    def artists(self) -> dict[str, Json]:
        """Return every artist of every album by id, with the name from the newest album."""
        found: dict[str, Json] = {}
        for album in self._valid_albums():
            for artist in credited(album):
                if isinstance(artist.get("id"), str):
                    found.setdefault(artist["id"], artist)
        return found

    def discography(self, artist_id: str) -> list[Json]:
        """Return the albums that credit the artist, each with its `album_group`."""
        found = []
        for album in self._valid_albums():
            ids = [artist.get("id") for artist in credited(album)]
            if artist_id in ids:
                kind = "single" if album.get("album_type") == "ep" else album.get("album_type")
                group = kind if ids[0] == artist_id else "appears_on"
                found.append(album | {"album_group": group})
        return found

    def followed(self) -> list[Json]:
        """Return the artists that the listener follows: a third of all, sorted by id."""
        return [
            artist
            for identifier, artist in sorted(self.artists().items())
            if seeded_random("followed", identifier).random() < 1 / 3
        ]

    def _valid_albums(self) -> Iterator[Json]:
        return (album for album in self.albums if isinstance(album, dict))


def _releases(seed: int, today: date, *, quirks: bool) -> Iterator[Json]:
    for age in count():
        day = today - timedelta(days=age)
        output = (
            28 if day.weekday() == _FRIDAY else seeded_random(seed, day, "output").randint(4, 8)
        )
        for place in range(output):
            yield release_of_day(seed, day, place, quirks=quirks)


def _friday_before(today: date) -> date:
    """Return a Friday six to seven weeks ago: Spotify's list has such old releases near its top."""
    old = today - timedelta(days=42)
    return old - timedelta(days=(old.weekday() - _FRIDAY) % 7)
