"""What a migration makes of the rows that are there."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session

from alembic import command
from models import Album, Artist, Change, JournalFloor
from server.database import migrations, schema
from server.database.executor import Database
from server.storage import sweeps
from tests.support.examples import album, albums, artist, spotify_id, sweep

AT = datetime(2026, 11, 20, 5, tzinfo=UTC)
TITLES = (
    "Tides EP,EP2,The Three E.P.,midnight ep,Tides (Ep),Ep. 12: The Sea,KEEP,E.P.I.C.,R.E.P.,EP-1,"
    "Ólafur EP,EPÓ,夜EP,Tides EP!,ep"
).split(",")


def pictures(*widths: int | None) -> list[dict[str, Any]]:
    return [{"url": f"https://i.scdn.co/{width}", "width": width} for width in widths]


def odd_albums() -> list[dict[str, Any]]:
    variants: list[dict[str, Any]] = [
        {"album_type": None, "name": "Tides EP"},
        {"album_type": "ep", "total_tracks": 20},
        {"artists": []},
        {"artists": [artist(number, name="♫" * 300) for number in range(50)]},
        {"name": "夜" * 300},
        {"external_urls": {}, "images": [], "release_date": None},
        {"external_urls": {"spotify": "https://x.example/" + "x" * 2000}},
        {"images": [{"url": "https://x.example/" + "x" * 2000, "width": 640}, *pictures(300)]},
        *({"images": pictures(*widths)} for widths in ((640, 64), (64, 32), (None,), (300, None))),
        *({"album_type": "single", "total_tracks": tracks} for tracks in (None, 3, 4, 6, 7)),
        *({"album_type": "single", "total_tracks": 2, "name": name} for name in TITLES),
    ]
    return [album(number, **fields) for number, fields in enumerate(variants)]


def back_and_forth(engine: Engine, revision: str) -> None:
    with engine.begin() as connection:
        command.downgrade(migrations.alembic_config(connection=connection), revision)
    schema.create(engine)


def test_0005_describes_the_releases_of_old_changes_as_new_ones_are(database: Database) -> None:
    with Session(database.engine) as session, session.begin():
        sweeps.record_sweep(session, sweep(odd_albums()), AT, lambda: AT)
    everything = select(Change.album, Change.release).order_by(Change.seq)
    with Session(database.engine) as session:
        before = [tuple(row) for row in session.execute(everything)]
    assert len(before) == len(odd_albums())
    back_and_forth(database.engine, "0004")
    with Session(database.engine) as session:
        assert [tuple(row) for row in session.execute(everything)] == before


def test_0005_tells_what_is_not_known_of_the_past_by_null_and_by_a_floor(
    database: Database,
) -> None:
    with Session(database.engine) as session, session.begin():
        sweeps.record_sweep(session, sweep(albums(3)), AT, lambda: AT)
        session.execute(text("DELETE FROM changes WHERE seq = 1"))
        session.execute(text("DELETE FROM albums WHERE id = 2"))
        session.execute(text("UPDATE albums SET updated_at = now() WHERE id = 3"))
    back_and_forth(database.engine, "0004")
    with Session(database.engine) as session:
        releases = session.scalars(select(Change.release).order_by(Change.seq)).all()
        assert [None if each is None else each["name"] for each in releases] == [None, "Album 2"]
        assert session.scalars(select(JournalFloor.seq)).all() == [1]
        for kept in session.scalars(select(Album)):
            assert kept.significant_at == kept.updated_at, spotify_id("album", 0)
    with database.engine.begin() as connection:
        connection.execute(text("DELETE FROM changes"))
    back_and_forth(database.engine, "0004")
    with Session(database.engine) as session:
        assert session.scalars(select(JournalFloor.seq)).all() == [3], "all numbers given out"


def test_a_new_journal_has_no_floor(database: Database) -> None:
    with Session(database.engine) as session:
        assert session.scalars(select(JournalFloor.seq)).all() == [0]


def test_0007_leaves_the_limits_of_all_apps_as_one_when_it_is_undone(database: Database) -> None:
    rows = """
        INSERT INTO quota (client_id, bucket, "window", calls)
        VALUES ('a', '/x', '2026-11-20', 2), ('b', '/x', '2026-11-20', 3),
            ('b', '/y', '2026-11-20', 4);
        INSERT INTO cooldowns (client_id, bucket, since, until, reason, unnamed)
        VALUES ('a', '/x', '2026-11-20', '2026-11-22', 'long', 0),
            ('b', '/x', '2026-11-20', '2026-11-21', 'short', 0);
        INSERT INTO sources (client_id, name, verdict, probed_at)
        VALUES ('a', 'search', 'allowed', '2026-11-20'),
            ('b', 'search', 'restricted', '2026-11-21');
    """
    with database.engine.begin() as connection:
        connection.execute(text(rows))
    back_and_forth(database.engine, "0006")
    with database.engine.connect() as connection:
        found = [
            [tuple(row) for row in connection.execute(text(statement))]
            for statement in (
                "SELECT client_id, bucket, calls FROM quota ORDER BY bucket",
                "SELECT client_id, reason FROM cooldowns",
                "SELECT client_id, verdict FROM sources",
            )
        ]
    assert found == [[("", "/x", 5), ("", "/y", 4)], [("", "long")], [("", "restricted")]]


def test_0009_derives_of_old_rows_what_is_derived_of_new_ones(database: Database) -> None:
    with Session(database.engine) as session, session.begin():
        sweeps.record_sweep(session, sweep(odd_albums()), AT, lambda: AT)
    albums_of = select(Album.folded_name, Album.kind, Album.work, Album.removed).order_by(Album.id)
    artists_of = select(Artist.folded_name).order_by(Artist.id)
    with Session(database.engine) as session:
        before = [session.execute(each).all() for each in (albums_of, artists_of)]
    assert len({row.work for row in before[0]}) > 5
    back_and_forth(database.engine, "0008")
    with Session(database.engine) as session:
        assert [session.execute(each).all() for each in (albums_of, artists_of)] == before


def test_0007_deletes_artists_that_a_change_of_credits_has_left_without_releases(
    database: Database,
) -> None:
    with Session(database.engine) as session, session.begin():
        sweeps.record_sweep(session, sweep(albums(1)), AT, lambda: AT)
        session.execute(
            text(
                "INSERT INTO artists (spotify_id, name, uri, external_urls) "
                "VALUES ('lone', 'Lone', 'spotify:artist:lone', '{}')"
            )
        )
    back_and_forth(database.engine, "0006")
    with Session(database.engine) as session:
        assert session.scalars(select(Artist.spotify_id)).all() == [spotify_id("artist", 0)]
