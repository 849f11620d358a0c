"""The books of a local copy whose list only ever grows at its top: nothing lost, none twice."""

from typing import Any

from sqlalchemy import URL

from server.standin.catalogue.catalogue import LISTED
from tests.support.cursors import connected

ALL_ALIKE = (
    "albums",
    "added, by the syncs",
    "added, by the journal",
    "added, each once",
    "albums with artists",
    "albums that were listed",
)
BALANCE = f"""
SELECT (SELECT count(*) FROM albums) AS "albums",
       (SELECT coalesce(sum(added), 0) FROM sync_runs) AS "added, by the syncs",
       (SELECT count(*) FROM changes WHERE kind = 'added') AS "added, by the journal",
       (SELECT count(DISTINCT album) FROM changes WHERE kind = 'added') AS "added, each once",
       (SELECT count(DISTINCT album_id) FROM album_artists) AS "albums with artists",
       (SELECT count(DISTINCT album_id) FROM listings) AS "albums that were listed",
       (SELECT coalesce(sum(updated), 0) - (SELECT count(*) FROM changes WHERE kind = 'updated')
        FROM sync_runs) AS "updated, by the syncs alone",
       (SELECT coalesce(sum(gone), 0) - (SELECT count(*) FROM changes WHERE kind = 'gone')
        FROM sync_runs) AS "gone, by the syncs alone",
       (SELECT count(*) FROM
           (SELECT album, at FROM changes WHERE kind = 'gone') AS told FULL JOIN
           (SELECT spotify_id, until FROM listings JOIN albums ON albums.id = album_id
            WHERE until IS NOT NULL) AS closed ON (album, at) = (spotify_id, until)
        WHERE album IS NULL OR spotify_id IS NULL) AS "gone, by journal or listing alone",
       (SELECT count(*) FROM listings AS one WHERE until IS NOT NULL AND {LISTED} >
           (SELECT count(*) FROM listings AS newer WHERE newer.since <= one.until
            AND (newer.since, -newer.position) > (one.since, -one.position))) AS "falsely gone",
       (SELECT count(*) FROM changes WHERE kind = 'deleted') AS "deleted",
       (SELECT count(*) FROM artists WHERE NOT EXISTS
           (SELECT FROM album_artists WHERE artist_id = artists.id)) AS "artists without albums"
"""


def stored(url: URL) -> set[str]:
    """Read the ids of the albums at `url`, as `balanced` does."""
    with connected(url) as cursor:
        return balanced(cursor)


def balanced(cursor: Any) -> set[str]:
    """Read Spotify's ids of the albums that are here, gone or not, and check the books.

    Every one of them came whole: with its artists, its listing, one entry of the journal, and in
    the account of a sync. So no sync has left half of what it brought, and none brought anything
    twice. What is gone went because as many newer releases had come as the list is long.
    """
    cursor.execute(BALANCE)
    names = [column.name for column in cursor.description]
    usages = dict(zip(names, map(int, cursor.fetchone()), strict=True))
    albums = usages["albums"]
    wrong = {name: n for name, n in usages.items() if n != (albums if name in ALL_ALIKE else 0)}
    assert not wrong, f"{wrong} where there are {albums} albums"
    cursor.execute("SELECT spotify_id FROM albums")
    return {row[0] for row in cursor.fetchall()}
