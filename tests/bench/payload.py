"""The default payload with 1 000 albums in the table, and with many more."""

from datetime import date
from statistics import median

import orjson
from sqlalchemy import URL, text
from sqlalchemy.orm import Session

from models import Base
from server.catalog.query import ArtistsQuery
from server.database.engine import make_engine
from server.serving import payload
from server.storage import snapshots
from tests.bench.measure import seconds, show
from tests.bench.scale import Scale

TODAY = date(2026, 11, 20)
SMALL = 1_000
# Seen one every five minutes, each a few days after it came out.

ARTISTS = """
INSERT INTO artists (spotify_id, name, uri, external_urls)
SELECT lpad(n::text, 22, 'a'), 'Artist ' || n, 'spotify:artist:' || n, '{}'
FROM generate_series(1, 5000) n ON CONFLICT DO NOTHING"""
ALBUMS = """
INSERT INTO albums (spotify_id, name, album_type, release_date, release_date_precision, uri,
    images, external_urls, position, created_at, last_seen_at)
SELECT lpad(n::text, 22, 'b'), 'Album ' || n,
    (ARRAY['album','single','ep','compilation'])[1 + n % 4],
    to_char(seen - n % 5 * interval '1 day', 'YYYY-MM-DD'), 'day', 'spotify:album:' || n,
    jsonb_build_array(jsonb_build_object('url', 'https://i.scdn.co/image/' || n, 'width', 640)),
    '{}', n % 100, seen, now()
FROM generate_series(CAST(:first AS int), CAST(:last AS int)) n,
    LATERAL (SELECT timestamptz '2026-11-20' - n * interval '5 minutes') times (seen)"""
CREDITS = """
INSERT INTO album_artists (album_id, position, artist_id)
SELECT id, 0, (SELECT min(id) FROM artists) + id % 5000 FROM albums
WHERE id NOT IN (SELECT album_id FROM album_artists)"""
RUN = """
INSERT INTO sync_runs (source, outcome, started_at, finished_at, calls, seen, added, updated, gone,
    skipped, changed) VALUES ('search', 'complete', now(), now(), 1, 1, 1, 0, 0, 0, true)"""


def main(url: URL, scale: Scale) -> list[str]:
    """Print the table. Returns what is wrong: the payload has to hold as many artists each time."""
    engine = make_engine(url)
    names = ", ".join(table.name for table in Base.metadata.sorted_tables)

    def build() -> bytes:
        with Session(engine) as session:
            snapshot = snapshots.load(session, TODAY)
        made = payload.build(snapshot, ArtistsQuery(), today=TODAY, stale=False, max_age=15)
        return made.body

    def fill(first: int, last: int) -> None:
        with engine.begin() as connection:
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text(ARTISTS))
            connection.execute(text(ALBUMS), {"first": first, "last": last})
            connection.execute(text(CREDITS))
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("SET statement_timeout = 0"))
            connection.execute(text("VACUUM ANALYZE"))

    def measure() -> tuple[int, float]:
        shown = orjson.loads(build())["count"]
        return shown, median(seconds(build) for _ in range(scale.payload_rounds))

    with engine.begin() as connection:
        connection.execute(text(f"TRUNCATE {names}"))
        connection.execute(text(RUN))
    fill(1, SMALL)
    few, small = measure()
    fill(SMALL + 1, scale.payload_albums)
    many, large = measure()
    engine.dispose()
    print(f"The default payload built from the database (medians of {scale.payload_rounds})")
    label = (
        f"{scale.payload_albums} albums against {SMALL}, {large * 1000:.1f} ms against "
        f"{small * 1000:.1f} ms"
    )
    show("<= 2", large / small, label)
    print()
    return [] if few == many > 0 else [f"the payload holds {few} artists, then {many}"]
