"""The books that the tests of faults go by: what is right balances, nothing that is wrong does."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import URL

from server.database.executor import Database
from server.standin.catalogue.catalogue import LISTED
from server.storage import sweeps
from tests.support.clock import Clock
from tests.support.cursors import connected
from tests.support.databases import NewDatabase
from tests.support.examples import album, artist, sweep
from tests.system.faults.balance import balanced, stored

NEWER = 10  # releases of the second sync
GO = """
WITH one AS (UPDATE listings SET until = (SELECT max(finished_at) FROM sync_runs)
         WHERE album_id = (SELECT id FROM albums WHERE spotify_id = '{album}')
         RETURNING album_id, until),
     told AS (INSERT INTO changes (album, kind, at, detail)
         SELECT spotify_id, 'gone', until, '{{}}' FROM one JOIN albums ON albums.id = album_id)
UPDATE sync_runs SET gone = gone + 1 WHERE id = 2
"""
TELL = "INSERT INTO changes (album, kind, at, detail) VALUES ('{album}', '{kind}', now(), '{{}}')"


def name(number: int) -> str:
    identity: str = album(number)["id"]
    return identity


@pytest.fixture(scope="module")
def copy(new_database: NewDatabase, migrated: str) -> Iterator[URL]:
    """A full list, and how it stood when newer releases had come; album 0 is the oldest."""
    clock = Clock(datetime(2026, 11, 20, 12, tzinfo=UTC))

    async def sync(database: Database, first: int) -> None:
        items = [
            album(number, artists=[artist(number), artist(1000 + number)])
            for number in reversed(range(first, first + LISTED))
        ]
        await database.run(sweeps.record_sweep, sweep(items), clock(), clock)
        clock.forward(minutes=1)

    with new_database(migrated) as url:
        database = Database(url)
        database.connect()
        asyncio.run(sync(database, 0))
        asyncio.run(sync(database, NEWER))
        database.close()
        yield url


def test_the_books_balance_when_the_oldest_have_left_a_full_list(copy: URL) -> None:
    assert len(stored(copy)) == LISTED + NEWER
    with connected(copy) as cursor:
        cursor.execute("SELECT album FROM changes WHERE kind = 'gone'")
        assert {row[0] for row in cursor.fetchall()} == {name(number) for number in range(NEWER)}


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("DELETE FROM albums WHERE id = 7", "added, by the syncs"),
        ("DELETE FROM album_artists WHERE album_id = 7", "albums with artists"),
        ("DELETE FROM album_artists WHERE position > 0", "artists without albums"),
        ("DELETE FROM listings WHERE album_id = 7", "albums that were listed"),
        ("DELETE FROM changes WHERE seq = 7", "added, by the journal"),
        ("DELETE FROM sync_runs WHERE id = 2", "added, by the syncs"),
        ("UPDATE sync_runs SET added = 2 * added WHERE id = 2", "added, by the syncs"),
        ("UPDATE sync_runs SET updated = 1 WHERE id = 2", "updated, by the syncs alone"),
        ("UPDATE changes SET album = 'x' WHERE seq = 7 OR seq = 8", "added, each once"),
        (TELL.format(album=name(50), kind="added"), "added, by the journal"),
        (TELL.format(album=name(50), kind="updated"), "updated, by the syncs alone"),
        (TELL.format(album=name(50), kind="deleted"), "deleted"),
        (TELL.format(album=name(50), kind="gone"), "gone, by journal or listing alone"),
        (GO.format(album=name(LISTED + NEWER - 1)), "falsely gone"),
        (GO.format(album=name(NEWER)), "falsely gone"),
        ("UPDATE listings SET until = NULL WHERE position = 99", "gone, by journal or listing"),
        ("UPDATE sync_runs SET gone = 0", "gone, by the syncs alone"),
    ],
)
def test_the_books_do_not_balance(copy: URL, statement: str, told: str) -> None:
    with connected(copy) as cursor:
        cursor.execute("BEGIN")
        cursor.execute(statement)
        assert cursor.rowcount
        with pytest.raises(AssertionError, match=told):
            balanced(cursor)
        cursor.execute("ROLLBACK")
