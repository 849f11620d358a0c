"""Applies a query to a snapshot: which releases or artists, and in what order. Pure.

A list is made in these steps: the part of an order that is completely in memory, the filters, one
version of each release, the requested order, the first `release_limit`; then a page is cut.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date
from itertools import islice
from operator import methodcaller

from server.catalog import versions
from server.catalog.parameters import searchable
from server.catalog.query import ReleaseQuery
from server.catalog.release import TYPES, is_upcoming
from server.catalog.snapshot import NAME_LENGTH, AlbumEntry, ArtistEntry, Depth, Snapshot
from server.catalog.zones import DAY

Test = Callable[[AlbumEntry], bool]


@dataclass(frozen=True, slots=True)
class ListedArtist:
    """An artist with its releases in the list, newest first.

    `first` is the one that comes first in the order of the list, if it is one of releases.
    """

    artist: ArtistEntry
    albums: list[AlbumEntry]
    first: AlbumEntry | None = None

    @property
    def spotify_id(self) -> str:
        """The artist's id at Spotify."""
        return self.artist.spotify_id


def artists(snapshot: Snapshot, query: ReleaseQuery, today: date) -> list[ListedArtist]:
    """Return the artists of the listed releases, in the order of these or by name.

    An ascending order is the descending one reversed, so an artist is placed by the same release in
    both. `today` is the day in the zone of the query.
    """
    chosen = albums(snapshot, query, today)
    descending = chosen if _is_descending(query) else chosen[::-1]
    newest_first = descending
    if not query.sort.endswith("released"):
        newest_first = _arranged(chosen, snapshot.albums)
    listed: dict[str, ListedArtist] = {}
    for album in descending:
        for artist in _listed(album, query):
            listed.setdefault(artist.spotify_id, ListedArtist(artist, [], album))
    for album in newest_first:
        for artist in _listed(album, query):
            listed[artist.spotify_id].albums.append(album)
    found = list(listed.values())
    if query.sort.endswith("name"):
        return sorted(found, key=artist_place, reverse=_is_descending(query))
    return found if _is_descending(query) else found[::-1]


def _listed(album: AlbumEntry, query: ReleaseQuery) -> Iterable[ArtistEntry]:
    """Return the artists of a release that a list of artists has: all, or those asked for."""
    if not query.artist:
        return album.artists
    return [each for each in album.artists if each.spotify_id in query.artist]


def albums(snapshot: Snapshot, query: ReleaseQuery, today: date) -> list[AlbumEntry]:
    """Return the listed releases: the first ones in the requested order.

    `today` is the day in the zone of the query.
    """
    releases = _filtered(snapshot, query, today)
    if query.sort.endswith("name"):
        releases = sorted(releases, key=_album_name, reverse=_is_descending(query))
    elif not _is_descending(query):
        releases = releases[::-1]
    return list(releases[: query.bound])


def artist_name(albums: Iterable[AlbumEntry], query: ReleaseQuery) -> str | None:
    """Return the name of the artist that is asked for, if it is one and credited on an album."""
    if len(query.artist) != 1:
        return None
    credited = (artist for album in albums for artist in album.artists)
    return next((each.name for each in credited if each.spotify_id in query.artist), None)


def _filtered(snapshot: Snapshot, query: ReleaseQuery, today: date) -> Sequence[AlbumEntry]:
    """Return the releases that pass every filter, in the descending order that `query` uses."""
    order = _order(snapshot, query)
    releases = _covered(order, snapshot.depth, query, _latest_day(query, today).isoformat())
    tests = _tests(query, today)
    if tests:
        releases = [album for album in releases if all(test(album) for test in tests)]
    if "versions" not in query.exclude:
        return releases
    if order is snapshot.albums:
        return versions.fold(releases)
    return _arranged(versions.fold(_arranged(releases, snapshot.albums)), order)


def _order(snapshot: Snapshot, query: ReleaseQuery) -> Sequence[AlbumEntry]:
    """Return the releases, newest first or last seen first; without upcoming ones, last shown."""
    if not query.sort.endswith("seen"):
        return snapshot.albums
    if query.upcoming != "exclude":
        return snapshot.seen
    if query.zone is UTC:
        return snapshot.shown
    return sorted(snapshot.seen, key=methodcaller("shown_at", query.zone), reverse=True)


def _latest_day(query: ReleaseQuery, today: date) -> date:
    """Return the latest day that it may be in UTC, where the snapshot was cut, while it is `today`.

    A list that counted fewer releases as out than the snapshot did would reach beyond its depth.
    """
    return today if query.zone is UTC or today == date.max else today + DAY


def _covered(
    order: Sequence[AlbumEntry], depth: Depth | None, query: ReleaseQuery, day: str
) -> Sequence[AlbumEntry]:
    """Return the requested types of an order, as far as the snapshot has all of them."""
    requested = types_of(query)
    typed = order
    if requested is not None:
        typed = [album for album in order if album.album_type in requested]
    if depth is None or query.upcoming == "only":
        return typed
    covered = order[: _end(order, depth.overall, day)]
    if requested is None:
        return covered
    count = sum(album.album_type in requested for album in covered)
    return typed[: max(count, _end(typed, depth.of_type, day))]


def types_of(query: ReleaseQuery) -> Collection[str] | None:
    """Return the types that a listed release may have; None for all, even unknown ones."""
    if not query.kind:
        return query.type or None
    possible = {each for kind in query.kind for each in TYPES[kind]}
    return possible.intersection(query.type) if query.type else possible


def _end(order: Sequence[AlbumEntry], depth: int, day: str) -> int:
    """Return the index after the first `depth` releases that are out, or the length if fewer.

    The next one that is out may be missing from the snapshot, so any later ones are not listed.
    """
    if len(order) < depth:
        return len(order)
    ends = (end for end, album in enumerate(order, 1) if not is_upcoming(album.release_date, day))
    return next(islice(ends, depth - 1, None), len(order))


def _arranged(releases: Iterable[AlbumEntry], order: Iterable[AlbumEntry]) -> list[AlbumEntry]:
    """Return the same releases in the order of another sequence."""
    ids = {id(album) for album in releases}
    return [album for album in order if id(album) in ids]


def _is_descending(query: ReleaseQuery) -> bool:
    return query.sort.startswith("-")


def _tests(query: ReleaseQuery, today: date) -> list[Test]:
    tests: list[Test] = []
    day, first = today.isoformat(), query.first_day(today)
    if query.upcoming != "include":
        only = query.upcoming == "only"
        tests.append(lambda album: is_upcoming(album.release_date, day) is only)
    if kinds := query.kind:
        tests.append(lambda album: album.release.kind in kinds)
    if artists := frozenset(query.artist):
        tests.append(lambda album: any(each.spotify_id in artists for each in album.artists))
    if "various_artists" in query.exclude:
        tests.append(lambda album: not album.various_artists)
    if first is not None:
        tests.append(lambda album: _compared(album.release_date, first) in ("=", ">"))
    if after := query.released_after:
        tests.append(lambda album: _compared(album.release_date, after) in ("=", ">"))
    if before := query.released_before:
        tests.append(lambda album: _compared(album.release_date, before) in ("=", "<"))
    if market := query.market:
        tests.append(lambda album: album.markets is None or f" {market} " in album.markets)
    if words := searchable(query.q or ""):
        tests.append(lambda album: words in album.text)
    return tests


def _compared(release_date: str | None, bound: str) -> str:
    """Compare two dates at the coarser precision of the two: `<`, `=`, `>`; `?` if unknown."""
    if release_date is None:
        return "?"
    length = min(len(release_date), len(bound))
    ours, theirs = release_date[:length], bound[:length]
    return "=" if ours == theirs else "<" if ours < theirs else ">"


def artist_place(listed: ListedArtist) -> tuple[str, str]:
    """Return what orders an artist by name."""
    return listed.artist.folded_name[:NAME_LENGTH], listed.spotify_id


def _album_name(album: AlbumEntry) -> tuple[str, str]:
    return album.text.partition("\n")[0][:NAME_LENGTH], album.spotify_id


def last_covered(snapshot: Snapshot, query: ReleaseQuery, today: date) -> AlbumEntry | None:
    """Return the last release, in descending order, down to which a snapshot has all; None if none.

    It may not pass the filters.
    """
    day = _latest_day(query, today).isoformat()
    covered = _covered(_order(snapshot, query), snapshot.depth, query, day)
    return covered[-1] if covered else None
