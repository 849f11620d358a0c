"""A catalogue of any size, made by PostgreSQL itself: what years of syncs would have left.

The newest releases are the same in number at each size: every day brings PER_DAY releases, each is
listed for a day, and the list that is open now holds OPEN of them. A larger catalogue goes further
back. Names, credits, covers, markets and dates vary as Spotify's do. Half of the words of names are
forty common ones, the others are tens of thousands of rare ones.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL, Connection, Engine, text

from server.database import schema
from server.database.engine import make_engine
from server.storage.reading import derived

PER_DAY = 500
OPEN = 1000
ENTRIES = 10  # of the journal, of each release, which has as many listings in five markets
ACCOUNT = "bench-account"
FOLLOWED = 100

# Deterministic, so that each run measures the same rows; `pg_temp` ends with the connection.
FUNCTIONS = """
CREATE FUNCTION pg_temp.id(kind text, n bigint) RETURNS text LANGUAGE sql IMMUTABLE RETURN
    left(translate(encode(sha256((kind || n)::bytea), 'base64'), '+/=', 'xyz'), 22);
CREATE FUNCTION pg_temp.die(kind text, n bigint, faces bigint) RETURNS bigint LANGUAGE sql IMMUTABLE
    RETURN (hashtextextended(kind, n) & 9223372036854775807) % faces;
CREATE FUNCTION pg_temp.common(kind text, n bigint) RETURNS text LANGUAGE sql IMMUTABLE RETURN
    (ARRAY['Tides','Night','River','Glass','Summer','Ocean','Velvet','Écho','Stone','Fire','Winter',
    'Dream','Golden','Paper','Moon','City','Light','Silver','Heart','Road','Océano','Über','夜','Sø',
    'Blue','Northern','Harbour','Feral','Machines','Garden','Letters','Hollow','Static','Bloom',
    'Satellite','Mirror','Thunder','Quiet','Electric','Sunday'])[1 + pg_temp.die(kind, n, 40)];
CREATE FUNCTION pg_temp.syllable(kind text, n bigint) RETURNS text LANGUAGE sql IMMUTABLE RETURN
    (ARRAY['ka','lo','mi','ren','sa','tor','vel','an','bri','cho','dul','es','fen','gar','hil','in',
    'jo','kru','len','mor','na','or','pel','qui','ros','shi','tam','ur','vin','wes','xa','yol','zu',
    'ble','cra','dre','flo','gri','ster','ton'])[1 + pg_temp.die(kind, n, 40)];
CREATE FUNCTION pg_temp.rare(kind text, n bigint) RETURNS text LANGUAGE sql IMMUTABLE RETURN
    initcap(concat(pg_temp.syllable(kind || 'a', n), pg_temp.syllable(kind || 'b', n),
    CASE WHEN pg_temp.die(kind || 'c', n, 2) = 0 THEN pg_temp.syllable(kind || 'd', n) END));
CREATE FUNCTION pg_temp.word(kind text, n bigint) RETURNS text LANGUAGE sql IMMUTABLE RETURN
    CASE pg_temp.die(kind || 'e', n, 2) WHEN 0 THEN pg_temp.common(kind, n)
    ELSE pg_temp.rare(kind, n) END;
CREATE FUNCTION pg_temp.name(kind text, n bigint) RETURNS text LANGUAGE sql IMMUTABLE RETURN
    concat_ws(' ', pg_temp.word(kind || 1, n),
    CASE WHEN n % 3 > 0 THEN pg_temp.word(kind || 2, n) END,
    CASE WHEN n % 7 = 0 THEN 'of ' || pg_temp.word(kind || 3, n) END,
    CASE WHEN n % 11 = 0 THEN '(Deluxe Edition)' WHEN n % 5 = 0 THEN n::text END);
CREATE FUNCTION pg_temp.covers(n bigint) RETURNS jsonb LANGUAGE sql IMMUTABLE RETURN (
    SELECT jsonb_agg(jsonb_build_object('url', 'https://i.scdn.co/image/ab67616d' || prefix ||
        left(encode(sha256(n::text::bytea), 'hex'), 24), 'width', size, 'height', size))
    FROM (VALUES (640, '0000b273'), (300, '00001e02'), (64, '00004851')) s (size, prefix));
CREATE FUNCTION pg_temp.seen(n bigint) RETURNS timestamptz LANGUAGE sql STABLE RETURN
    date_trunc('second', now()) - (n - 0.5) * interval '1 day' / {per_day};
CREATE FUNCTION pg_temp.day(n bigint) RETURNS text LANGUAGE sql STABLE RETURN
    CASE WHEN n % 1009 = 0 THEN NULL
    WHEN n % 97 = 0 THEN to_char(pg_temp.seen(n) - interval '200 days', 'YYYY')
    WHEN n % 101 = 0 THEN to_char(pg_temp.seen(n) - interval '40 days', 'YYYY-MM')
    WHEN n % 50 = 0 AND n < 3000
        THEN to_char(pg_temp.seen(n) + (1 + n % 28) * interval '1 day', 'YYYY-MM-DD')
    ELSE to_char(pg_temp.seen(n) - pg_temp.die('day', n, 5) * interval '1 day', 'YYYY-MM-DD') END;
CREATE FUNCTION pg_temp.type(n bigint) RETURNS text LANGUAGE sql IMMUTABLE RETURN
    CASE WHEN n % 20 < 13 THEN 'single' WHEN n % 20 < 18 THEN 'album' WHEN n % 20 = 18 THEN 'ep'
    ELSE 'compilation' END;
"""
# An artist for every two releases. Some have hundreds, most have one or two, and every two
# hundredth release is credited to Various Artists.
ARTISTS = """
INSERT INTO artists (spotify_id, name, uri, href, external_urls, images, genres, popularity,
    followers, created_at, updated_at, refreshed_at)
SELECT id, CASE WHEN n = 0 THEN 'Various Artists' ELSE pg_temp.name('artist', n) END,
    'spotify:artist:' || id, 'https://api.spotify.com/v1/artists/' || id,
    jsonb_build_object('spotify', 'https://open.spotify.com/artist/' || id),
    CASE WHEN n % 3 = 0 THEN pg_temp.covers(-n) END,
    CASE WHEN n % 3 = 0 THEN ARRAY['pop', 'indie'] END,
    n % 100, n * 7 % 100000, at, at, CASE WHEN n % 3 = 0 THEN at END
FROM generate_series(0, CAST(:albums AS bigint) / 2) n,
    LATERAL (SELECT CASE WHEN n = 0 THEN '0LyfQWJT6nXafLPZqxe9Of' ELSE pg_temp.id('artist', n) END,
        pg_temp.seen(CAST(:albums AS bigint) - n)) made (id, at)
"""
ALBUMS = """
INSERT INTO albums (spotify_id, name, album_type, release_date, release_date_precision, released_on,
    total_tracks, uri, href, images, external_urls, available_markets, position, created_at,
    updated_at, significant_at, last_seen_at)
SELECT id, pg_temp.name('album', n), pg_temp.type(n), day,
    CASE length(day) WHEN 10 THEN 'day' WHEN 7 THEN 'month' WHEN 4 THEN 'year' END,
    CASE WHEN length(day) = 10 THEN day::date END, 1 + pg_temp.die('tracks', n, 14),
    'spotify:album:' || id, 'https://api.spotify.com/v1/albums/' || id, pg_temp.covers(n),
    jsonb_build_object('spotify', 'https://open.spotify.com/album/' || id),
    CASE WHEN n % 4 = 0 THEN markets END, n % 100, seen, seen, seen,
    CASE WHEN n <= {open} THEN now() - n * interval '1 ms' ELSE seen + interval '1 day' END
FROM generate_series(CAST(:albums AS bigint), 1, -1) n,
    LATERAL (SELECT pg_temp.id('album', n), pg_temp.day(n), pg_temp.seen(n)) made (id, day, seen),
    (SELECT array_agg(chr(64 + first) || chr(64 + second))
        FROM generate_series(1, 18) first, generate_series(1, 20, 2) second) countries (markets)
"""
CREDITS = """
INSERT INTO album_artists (album_id, position, artist_id)
SELECT id, place, CASE WHEN id % 200 = 0 AND place = 0 THEN 1 ELSE 2 + floor(
    CAST(:albums AS bigint) / 2 * power(pg_temp.die('credit' || place, id, 1000000) / 1e6, 2)) END
FROM albums, generate_series(0, (ARRAY[0, 0, 0, 1, 2])[1 + id % 5]) place
"""
LISTED = """
INSERT INTO listings (album_id, source, market, position, since, until)
SELECT id, 'search', market, position, since,
    CASE WHEN NOT is_open THEN least(since + interval '12 hours', now()) END
FROM albums, unnest((ARRAY['', 'DE', 'FR', 'GB', 'US'])[1 : {entries} / 2]) market,
    generate_series(0, 1) half,
    LATERAL (SELECT half = 1 AND market = '' AND :albums - id < {open}) known (is_open),
    LATERAL (SELECT CASE WHEN is_open THEN created_at
        ELSE created_at + half * interval '12 hours' END) made (since)
WHERE since < now()
"""
JOURNAL = """
INSERT INTO changes (album, kind, at, detail, release)
SELECT pg_temp.id('album', n),
    CASE place WHEN 0 THEN 'added' WHEN {entries} - 1 THEN 'gone' ELSE 'updated' END,
    now() - i * interval '1 day' / ({per_day} * {entries}),
    CASE WHEN place BETWEEN 1 AND {entries} - 2 THEN jsonb_build_object('total_tracks',
        jsonb_build_object('old', place, 'new', place + 1)) ELSE '{{}}' END,
    jsonb_build_object('name', pg_temp.name('album', n), 'kind', pg_temp.type(n),
        'release_date', pg_temp.day(n),
        'artists', jsonb_build_array(jsonb_build_object('name', pg_temp.name('artist', n / 2),
            'spotify_id', pg_temp.id('artist', n / 2))),
        'url', 'https://open.spotify.com/album/' || pg_temp.id('album', n),
        'image', 'https://i.scdn.co/image/ab67616d00001e02' ||
            left(encode(sha256(n::text::bytea), 'hex'), 24))
FROM generate_series(CAST(:albums AS bigint) * {entries} - 1, 0, -1) i,
    LATERAL (SELECT 1 + i / {entries}, {entries} - 1 - i % {entries}) made (n, place)
"""
RUNS = """
INSERT INTO sync_runs (source, why, outcome, started_at, finished_at, calls, seen, added, updated,
    gone, skipped, changed, error)
SELECT CASE WHEN n % 50 > 0 THEN 'search' END, NULL,
    CASE WHEN n % 50 = 0 THEN 'failed' WHEN n % 60 = 1 THEN 'partial' ELSE 'complete' END,
    at - interval '9 seconds', at, 10, {open}, added, 0, added, 0, added > 0,
    CASE WHEN n % 50 = 0 THEN 'SpotifyUnavailable: 502' END
FROM generate_series(CAST(:albums AS bigint) * 48 / {per_day} + 48 * 30, 1, -1) n,
    LATERAL (SELECT now() - n * interval '30 minutes',
        CASE WHEN n % 50 > 0 AND n % 3 > 0 THEN 15 ELSE 0 END) made (at, added)
"""
CHECKS = """
INSERT INTO artist_checks (artist, at, way, calls, not_modified, seen, added, changed, error)
SELECT pg_temp.id('artist', 1 + n % {followed}), now() - n * interval '1 day' / {followed},
    'albums', 2, n % 2, 10, 0, n % 10 = 0, NULL
FROM generate_series(CAST(:albums AS bigint) * {followed} / {per_day} + 100, 1, -1) n
"""
# Somebody who follows artists of every degree of fame, but none of the most prolific ones.
OWNED = """
INSERT INTO logins (account_id, scopes, state, authorized_at)
VALUES ('{account}', ARRAY['user-follow-read'], 'active', now());
INSERT INTO followed_lists (account_id, read_at, tried_at) VALUES ('{account}', now(), now());
INSERT INTO followed_artists (account_id, artist, name, position, followed_at)
SELECT '{account}', spotify_id, name, row_number() OVER () - 1, now() FROM (
    SELECT a.spotify_id, a.name FROM album_artists c JOIN artists a ON a.id = c.artist_id
    WHERE a.id > 1 GROUP BY a.id HAVING count(*) BETWEEN 4 AND 6 ORDER BY a.id DESC LIMIT {followed}
) known;
INSERT INTO artist_schedules (artist, added_at, next_check_at, checked_at, interval_days,
    newest_release, etags, failures)
SELECT artist, now(), now() + interval '1 day', now(), 1, '2026-11-20', '{{}}', 0
FROM followed_artists
"""
INDEXES = """
SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS definition
FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
WHERE relnamespace = current_schema()::regnamespace AND relname <> 'alembic_version'
AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
"""
STEPS = (ARTISTS, ALBUMS, CREDITS, LISTED, JOURNAL, RUNS, CHECKS, *OWNED.split(";\n"))
NUMBERS = {
    "per_day": PER_DAY,
    "open": OPEN,
    "account": ACCOUNT,
    "followed": FOLLOWED,
}


def fill(url: URL, albums: int, entries: int = ENTRIES) -> None:
    """Make a database with so many albums; each has `entries` of the journal, and listings.

    These are an even number, ENTRIES at most.
    """
    numbers = {**NUMBERS, "entries": entries}
    engine = make_engine(url)
    try:
        schema.create(engine)
        with engine.begin() as connection:
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SET LOCAL maintenance_work_mem = '512MB'"))
            connection.execute(text(FUNCTIONS.format(**numbers)))
            with _without_indexes(connection):
                for step in STEPS:
                    connection.execute(text(step.format(**numbers)), {"albums": albums})
                derived.fill(connection)
        vacuum(engine)
    finally:
        engine.dispose()


@contextmanager
def _without_indexes(connection: Connection) -> Iterator[None]:
    """Make the indexes that belong to no constraint at the end; check no foreign keys."""
    connection.execute(text("SET LOCAL session_replication_role = replica"))
    made = connection.execute(text(INDEXES)).all()
    for each in made:
        connection.execute(text(f"DROP INDEX {each.name}"))
    yield
    for each in made:
        connection.execute(text(each.definition))


def vacuum(engine: Engine) -> None:
    """Do what autovacuum would have done in years, and write everything to the disk."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("VACUUM ANALYZE"))
        connection.execute(text("CHECKPOINT"))
