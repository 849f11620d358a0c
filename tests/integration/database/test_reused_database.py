"""The database that tests reuse is restored after changes of rows, and dropped after others."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from server.database.embedded import EmbeddedPostgres
from tests.support.cursors import connected
from tests.support.reused_database import ReusedDatabase

ROWS = "INSERT INTO quota (bucket, \"window\", calls) VALUES ('search', now(), 1)"
KEPT = (
    ROWS,
    f"{ROWS}; TRUNCATE quota",
    "UPDATE alembic_version SET version_num = 'other'",
    "SELECT nextval('albums_id_seq')",
    "DELETE FROM journal_floor",
)
DROPPED = (
    "CREATE TABLE more (id int)",
    "DROP TABLE changes CASCADE",
    "ALTER TABLE albums ADD COLUMN more text",
    "ALTER TABLE albums ALTER COLUMN name DROP NOT NULL",
    "ALTER TABLE albums ADD CONSTRAINT more CHECK (true)",
    "ALTER TABLE albums SET (fillfactor = 40)",
    "CREATE INDEX more ON albums (name)",
    "CREATE FUNCTION more() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE FUNCTION more() RETURNS int LANGUAGE sql AS 'SELECT 1'; DROP FUNCTION more",
    "REVOKE EXECUTE ON FUNCTION pg_notify FROM public",
    "CREATE RULE more AS ON INSERT TO quota DO INSTEAD NOTHING",
    "CREATE SCHEMA more",
    "REVOKE ALL ON SCHEMA public FROM public",
    "GRANT SELECT ON albums TO public",
    "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO public",
    "CREATE TYPE more AS ENUM ('a')",
    "CREATE PUBLICATION more",
    "SELECT lo_create(0)",
    "ANALYZE albums",
    f"{ROWS}; ANALYZE quota",
)


@pytest.fixture
def lent(
    postgres: EmbeddedPostgres, migrated: str, new_name: Callable[[], str], admin: Any
) -> Iterator[Callable[[str], tuple[int, list[Any]]]]:
    """Return a function that runs SQL in a lent database; it returns what the next is lent.

    That is the object id of the database, and its rows.
    """
    database = ReusedDatabase(postgres.url, migrated, new_name)
    last = ""

    def run(sql: str) -> tuple[int, list[Any]]:
        nonlocal last
        with database.lend(admin) as url, connected(url) as cursor:
            last = str(url.database)
            cursor.execute("SELECT oid FROM pg_database WHERE datname = current_database()")
            ((oid,),) = cursor.fetchall()
            cursor.execute(
                "SELECT (SELECT json_agg(a) FROM alembic_version a)::text, "
                "(SELECT json_agg(f) FROM journal_floor f)::text, (SELECT count(*) FROM quota), "
                "(SELECT last_value FROM albums_id_seq), (SELECT is_called FROM albums_id_seq)"
            )
            rows = cursor.fetchall()
            if sql:
                cursor.execute(sql)
            return int(oid), rows

    yield run
    database.close()
    admin.execute(f"DROP DATABASE IF EXISTS {last} WITH (FORCE)")


def test_after_changes_of_rows_the_next_test_has_the_same_database_with_the_first_rows(
    lent: Callable[[str], tuple[int, list[Any]]],
) -> None:
    first = lent("")
    assert [lent(sql) for sql in KEPT] == [first] * len(KEPT)
    assert lent("") == first


def test_after_any_other_change_the_next_test_has_a_new_database(
    lent: Callable[[str], tuple[int, list[Any]]],
) -> None:
    kept = []
    for sql in DROPPED:
        before, rows = lent(sql)
        after, same = lent("")
        assert rows == same
        kept += [sql] if before == after else []
    assert kept == ["ANALYZE albums"], "that of an empty table leaves nothing behind"
