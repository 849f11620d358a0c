"""Columns that are derived from others, so that the database can order, search and fold by them."""

from typing import Any

import orjson
from sqlalchemy import Connection, text

from server.catalog import versions
from server.catalog.parameters import searchable
from server.catalog.release import kind_of

OF_ALBUMS = ("folded_name", "kind", "work", "removed")
BATCH = 5000  # rows
READ_ALBUMS = """
    SELECT a.id, a.name, a.album_type, a.total_tracks, a.release_date, r.spotify_id AS main
    FROM albums a LEFT JOIN album_artists c ON c.album_id = a.id AND c.position = 0
    LEFT JOIN artists r ON r.id = c.artist_id WHERE a.id > :after ORDER BY a.id LIMIT :most
"""
WRITE_ALBUMS = """
    UPDATE albums SET folded_name = n.folded_name, kind = n.kind, work = n.work, removed = n.removed
    FROM jsonb_to_recordset(CAST(:rows AS jsonb))
        AS n (id bigint, folded_name text, kind text, work text, removed int)
    WHERE albums.id = n.id
"""
READ_ARTISTS = "SELECT id, name FROM artists WHERE id > :after ORDER BY id LIMIT :most"
WRITE_ARTISTS = """
    UPDATE artists SET folded_name = n.folded_name
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS n (id bigint, folded_name text)
    WHERE artists.id = n.id
"""


def of_album(
    name: str,
    album_type: str | None,
    total_tracks: int | None,
    release_date: str | None,
    main_artist: str | None,
) -> dict[str, Any]:
    """Return the derived columns of an album, OF_ALBUMS; `main_artist` is its first credit.

    `work` is that of `catalog.versions`, null without a credit.
    """
    work, removed = None, 0
    if main_artist is not None:
        edition = versions.recognise(main_artist, album_type, release_date, name)
        work, removed = edition.work, edition.removed
    kind = kind_of(album_type, name, total_tracks)
    return {"folded_name": searchable(name), "kind": kind, "work": work, "removed": removed}


def fill(connection: Connection) -> None:
    """Fill the derived columns of all rows, in batches; for migrations."""
    after = 0
    while rows := connection.execute(text(READ_ALBUMS), {"after": after, "most": BATCH}).all():
        after = rows[-1].id
        _write(connection, WRITE_ALBUMS, [{"id": row[0], **of_album(*row[1:])} for row in rows])
    after = 0
    while rows := connection.execute(text(READ_ARTISTS), {"after": after, "most": BATCH}).all():
        after = rows[-1].id
        named = [{"id": row.id, "folded_name": searchable(row.name)} for row in rows]
        _write(connection, WRITE_ARTISTS, named)


def _write(connection: Connection, statement: str, rows: list[dict[str, Any]]) -> None:
    connection.execute(text(statement), {"rows": orjson.dumps(rows).decode()})
