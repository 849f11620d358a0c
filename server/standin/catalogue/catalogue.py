"""The stand-in's catalogue: the listing of new releases, and the artists in it."""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import chain, count, islice
from typing import Any, Final, Self

from server.standin.catalogue.discographies import Discographies, grouped
from server.standin.catalogue.following import Following
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
    finds an album; None finds all. `discographies` has further artists, and records that are not
    in the listing; `following` says who follows whom.
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
        self.discographies = Discographies(seed)
        self.following = Following()
        self._last_published: tuple[str, int] = ("", 0)
        self._records_until: date | None = None
        self._released = 0
        self._reconsidered = 0

    def invent_records(self, today: date) -> None:
        """Give the listing's artists of now and later older records, and some that it lacks."""
        self._records_until = today

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

    def release(
        self, artist_id: str, released: date, *, listed: bool = False, **changes: Any
    ) -> Json:
        """Add a record by an artist of the discographies, and return it.

        `listed` puts it at the top of the listing, too. `changes` replace fields of the record,
        such as `album_type`.
        """
        self._released += 1
        key = ("released", self._released)
        album = self.discographies.record(artist_id, key, released) | changes
        self.discographies.of(artist_id)
        self.discographies.add(album["artists"][0], [album])
        if listed:
            self.albums.insert(0, album)
            del self.albums[_MAX_ALBUMS:]
        return album

    def listing(self) -> list[Any]:
        """Return the items that new-releases pages through."""
        return self.albums[:LISTED]

    def new(self, today: date) -> list[Any]:
        """Return the items that a search for `tag:new` pages through, up to `recent_days` old."""
        return [item for item in self.albums if self._is_new(item, today)][:LISTED]

    def new_of(self, name: str, today: date) -> list[Json]:
        """Return what a search for `tag:new` and an artist finds, in the listing or not.

        `name` is part of an artist's name, in lower case.
        """
        self._invent_for(*self._listed_artists())
        known = [self.albums, *map(self.discographies.of, self.discographies.named(name))]
        return [
            album
            for album in _each_once(album for albums in known for album in albums)
            if self._is_new(album, today)
            and any(name in str(artist.get("name")).casefold() for artist in credited(album))
        ]

    def _is_new(self, item: Any, today: date) -> bool:
        released = item.get("release_date") if isinstance(item, dict) else None
        if self.recent_days is None or not isinstance(released, str) or released < "0001":
            return True
        oldest = (today - timedelta(days=self.recent_days)).isoformat()
        return released >= oldest[: len(released)]

    def album(self, identifier: str) -> Json | None:
        """Return the simplified album with that id, None if there is none."""
        listed = (album for album in self._valid_albums() if album.get("id") == identifier)
        found = next(listed, None)
        if found is None:
            self._invent_for(*self._listed_artists())
        return found or self.discographies.album(identifier)

    def artists(self) -> dict[str, Json]:
        """Return every artist by id, with the name from the newest album in the listing."""
        return {**self.discographies.artists, **self._listed_artists()}

    def _listed_artists(self) -> dict[str, Json]:
        found: dict[str, Json] = {}
        for album in self._valid_albums():
            for artist in credited(album):
                if isinstance(artist.get("id"), str):
                    found.setdefault(artist["id"], artist)
        return found

    def discography(self, artist_id: str) -> list[Json]:
        """Return the albums that credit the artist in Spotify's order, with `album_group`."""
        self._invent_for(artist_id)
        listed = (
            album
            for album in self._valid_albums()
            if any(artist.get("id") == artist_id for artist in credited(album))
        )
        return grouped(_each_once(chain(listed, self.discographies.of(artist_id))), artist_id)

    def _invent_for(self, *artist_ids: str) -> None:
        if self._records_until is not None:
            listed = self._listed_artists()
            for artist_id in artist_ids:
                if artist_id in listed:
                    self.discographies.invent_records(listed[artist_id], self._records_until)

    def followed(self, account_id: str | None = None) -> list[Json]:
        """Return the artists that an account follows, sorted by id; None is any account."""
        listed = self._listed_artists()
        known = {**self.discographies.artists, **listed}
        return self.following.list_of(account_id, known, listed)

    def reconsider(self) -> str | None:
        """Let every account follow one more artist or, each third time, one fewer.

        Returns the artist's id, None if there is no artist for it.
        """
        self._reconsidered += 1
        follow = self._reconsidered % 3 != 0
        artists = [
            identifier
            for identifier in self.artists()
            if self.following.follows(None, identifier) is not follow
        ]
        if not artists:
            return None
        artist_id = seeded_random(self.seed, "reconsidered", self._reconsidered).choice(artists)
        choose = self.following.follow if follow else self.following.unfollow
        choose(artist_id)
        return artist_id

    def _valid_albums(self) -> Iterator[Json]:
        return (album for album in self.albums if isinstance(album, dict))


def _each_once(albums: Iterable[Any]) -> Iterator[Json]:
    """Yield the albums that have an id, each once."""
    seen = set()
    for album in albums:
        identifier = album.get("id") if isinstance(album, dict) else None
        if isinstance(identifier, str) and identifier not in seen:
            seen.add(identifier)
            yield album


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
