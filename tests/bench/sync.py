"""A sync of many albums, against one SELECT and one INSERT a row over the same data."""

from datetime import UTC, datetime
from statistics import median
from typing import Any, cast

from sqlalchemy import URL, Connection, Table, func, select, text
from sqlalchemy.orm import Session

from models import Album, AlbumArtist, Artist, Base, Change, Listing
from server.database.engine import make_engine
from server.spotify.sweep import Sweep
from server.storage import sweeps
from server.storage.bulk import Row
from tests.bench.extent import Extent
from tests.bench.measure import seconds, show
from tests.support.examples import albums, sweep

AT = datetime(2026, 11, 20, tzinfo=UTC)
FILLED = (Album, Artist, AlbumArtist, Listing, Change)


def in_bulk(session: Session, given: Sweep) -> None:
    sweeps.record_sweep(session, given, AT, lambda: AT)


def row_by_row(session: Session, given: Sweep) -> None:
    """What one writes first: look each row up, insert it if it is not there, else touch it.

    It leaves the same rows as ours: albums, artists, credits, listings and changes.
    """
    connection = session.connection()
    for position, release in enumerate(given.releases):
        stamps: Row = {"last_seen_at": AT, "position": position}
        fields = release.model_dump(exclude={"artists", "spotify_id"})
        album, is_new = _find_or_insert(
            connection, Album, {"spotify_id": release.spotify_id}, {**fields, **stamps}
        )
        if is_new:
            change = {"album": release.spotify_id, "kind": "added", "at": AT, "detail": {}}
            connection.execute(_table(Change).insert().values(**change))
        else:
            touched = _table(Album).update().where(Album.id == album)
            connection.execute(touched.values(last_seen_at=AT))
        for place, credit in enumerate(release.artists):
            names = credit.model_dump(exclude={"spotify_id"})
            key = {"spotify_id": credit.spotify_id}
            artist, _ = _find_or_insert(connection, Artist, key, names)
            link = {"album_id": album, "position": place}
            _find_or_insert(connection, AlbumArtist, link, {"artist_id": artist})
        listing = {"album_id": album, "source": given.source, "market": "", "until": None}
        _find_or_insert(connection, Listing, listing, {"position": position, "since": AT})


def _find_or_insert(
    connection: Connection, model: type[Base], key: Row, rest: Row
) -> tuple[int, bool]:
    """One SELECT, and one INSERT if it found nothing; the first column, and whether it is new."""
    table = _table(model)
    first = next(iter(table.c))
    where = [table.c[name] == value for name, value in key.items()]
    found = connection.execute(select(first).where(*where)).scalar()
    if found is not None:
        return found, False
    row = table.insert().values(**key, **rest).returning(first)
    return connection.execute(row).scalar_one(), True


def _table(model: type[Base]) -> Table:
    return cast(Table, model.__table__)


def main(url: URL, extent: Extent) -> list[str]:
    """Print the table. Returns what is wrong: both ways have to leave as many rows."""
    engine = make_engine(url)
    given = sweep(albums(extent.sync_albums))
    names = ", ".join(table.name for table in Base.metadata.sorted_tables)
    left: dict[str, list[int]] = {}

    def run(work: Any) -> float:
        def transaction() -> None:
            with Session(engine) as session, session.begin():
                work(session, given)

        return seconds(transaction)

    times: dict[str, list[float]] = {"new": [], "row new": [], "same": [], "row same": []}
    for _ in range(extent.sync_rounds):
        for prefix, work in (("", in_bulk), ("row ", row_by_row)):
            with engine.begin() as connection:
                connection.execute(text(f"TRUNCATE {names}"))
            times[prefix + "new"].append(run(work))
            times[prefix + "same"].append(run(work))
            with engine.begin() as connection:
                left[prefix] = [_count(connection, table) for table in FILLED]
    engine.dispose()
    print(
        f"A sync of {extent.sync_albums} albums, times faster than row by row "
        f"(medians of {extent.sync_rounds} rounds)"
    )
    for kind in ("new", "same"):
        ours, theirs = median(times[kind]), median(times[f"row {kind}"])
        label = f"{kind} albums, {ours * 1000:.0f} ms against {theirs * 1000:.0f} ms"
        show(">= 20", theirs / ours, label)
    print()
    alike = left[""] == left["row "] and all(left[""])
    return [] if alike else [f"a sync leaves {left['']} rows, row by row {left['row ']}"]


def _count(connection: Connection, model: type[Base]) -> int:
    return connection.execute(select(func.count()).select_from(_table(model))).scalar_one()
