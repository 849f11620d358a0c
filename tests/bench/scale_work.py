"""A catalogue, and one round of anything that is done with it: timed, or with its plans."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import URL, event, func, select
from sqlalchemy.orm import Session

from models import Album, AlbumArtist, Artist, Change, Listing
from server.catalog.query import AlbumsQuery, ArtistsQuery, ReleaseQuery
from server.catalog.reading import Found, Position, facts_of, order_of, place_of
from server.catalog.snapshot import Snapshot
from server.database.engine import make_engine
from server.serving.cursors import Cursors
from server.storage import (
    snapshots,
)
from server.storage.reading.artists import ALL_CREDITS
from server.storage.reading.sources import read_baseline
from tests.bench.measure import seconds

SECRET = "a secret for the bench that is long enough"
PAGE = 100  # releases
CREDITED = 5  # releases of the artists that are asked for
SAMPLES = 16  # of each kind, so that a round finds nothing of the one before in a cache
EXPLAINED = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")
Work = Callable[[Session], Any]


@dataclass(frozen=True)
class Samples:
    """What is asked for in a catalogue, something else in each round so that nothing is cached.

    `artists` have CREDITED releases or nearly so; `albums`, their `names` and `day` are from the
    middle of the catalogue; `cursors` continue the list of all releases there. `journal` has the
    first number, the one in the middle, and the last one.
    """

    artists: list[str]
    albums: list[str]
    names: list[str]
    cursors: list[str]
    day: str
    journal: tuple[int, int, int]


Prepare = Callable[[Session, Samples, int], Work]


@dataclass(frozen=True)
class Part:
    """Something that is measured: `prepare` makes the work of a round, and is not measured.

    With `each`, the work returns a snapshot or a page of artists, and the time is that of 1 000
    releases in it.
    """

    name: str
    prepare: Prepare
    each: bool = False


def now() -> datetime:
    return datetime.now(UTC)


def samples(session: Session) -> Samples:
    """Choose what is asked for."""
    distance = func.abs(func.count(AlbumArtist.album_id) - CREDITED)
    ids = select(AlbumArtist.artist_id).where(AlbumArtist.artist_id > 1)
    nearest = ids.group_by(AlbumArtist.artist_id).order_by(distance, AlbumArtist.artist_id)
    artists = select(Artist.spotify_id).where(Artist.id.in_(nearest.limit(SAMPLES)))
    half = select((func.max(Album.id) + func.min(Album.id)) / 2).scalar_subquery()
    middle = select(Album).where(Album.id >= half).order_by(Album.id).limit(SAMPLES)
    albums = session.scalars(middle).all()
    query, cursors = AlbumsQuery(limit=PAGE), Cursors(SECRET)
    places = [position(session, query, album.spotify_id) for album in albums]
    begin = session.scalars(select(func.min(Listing.since))).one()
    first, last = session.execute(select(func.min(Change.seq), func.max(Change.seq))).one()
    return Samples(
        list(session.scalars(artists)),
        [album.spotify_id for album in albums],
        [album.name for album in albums],
        [cursors.make(query, place) for place in places],
        (begin + (now() - begin) / 2).date().isoformat(),
        (first, (first + last) // 2, last),
    )


def _releases_in(result: Snapshot | Found) -> int:
    if isinstance(result, Snapshot):
        return len(result.albums)
    return sum(len(artist.albums) for artist in result.page.items)


def position(session: Session, query: ReleaseQuery, album: str) -> Position:
    """Return where the page of a query begins that comes after a release and its artists."""
    (entry,) = snapshots.read_entries(session, Album.spotify_id == album)
    place = place_of(order_of(query), facts_of(entry), query.zone)
    after = (*place, ALL_CREDITS) if isinstance(query, ArtistsQuery) else place
    return Position(read_baseline(session), now().date(), after)


class Catalogue:
    """A database with a catalogue of some size."""

    def __init__(self, url: URL) -> None:
        self.url, self.engine = url, make_engine(url)
        with Session(self.engine) as session:
            self.samples = samples(session)

    def milliseconds(self, part: Part, number: int) -> float:
        """Do one round of a part in a transaction of its own."""
        work, results = self._prepared(part, number), []

        def transaction() -> None:
            with Session(self.engine) as session, session.begin():
                results.append(work(session))

        took = seconds(transaction) * 1000
        return took / _releases_in(results[0]) * 1000 if part.each else took

    def plans(
        self, part: Part, number: int, options: str = "ANALYZE, BUFFERS", planner: str = ""
    ) -> list[tuple[str, Any]]:
        """Return the statements of one round with their plans, and change nothing.

        `options` are those of EXPLAIN, `planner` are statements that set the planner's parameters.
        """
        work, found = self._prepared(part, number), []

        def explain(_: Any, cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
            if not statement.startswith(EXPLAINED):
                return
            with cursor.connection.cursor() as other:
                other.execute(f"SAVEPOINT explained; {planner}")
                other.execute(f"EXPLAIN ({options}) {statement}", parameters)
                found.append((statement, [row[0] for row in other.fetchall()]))
                other.execute("ROLLBACK TO explained")

        event.listen(self.engine, "before_cursor_execute", explain)
        try:
            with Session(self.engine) as session:
                work(session)  # which is rolled back
        finally:
            event.remove(self.engine, "before_cursor_execute", explain)
        return found

    def megabytes_on_disk(self) -> float:
        """Return the size of all tables and indexes, in 1 000 000 bytes."""
        with Session(self.engine) as session:
            name = func.current_database()
            return int(session.scalars(select(func.pg_database_size(name))).one()) / 1e6

    def close(self) -> None:
        self.engine.dispose()

    def _prepared(self, part: Part, number: int) -> Work:
        with Session(self.engine) as session, session.begin():
            return part.prepare(session, self.samples, number)
