"""One database for many tests, each of which finds it as the migrations have made it.

To copy and drop a database costs PostgreSQL more than most tests do. So the rows are deleted
instead, the sequences put back, and the database renamed, so that nothing that a test has left
behind finds it again. A test that has changed more than rows leaves a database that is dropped.

A connection that stays does all this, for a new one costs more than the rest. `pg_stat_activity`
shows it to tests, as `keeper`.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg2
from sqlalchemy import URL

LARGE = 64 * 1024  # bytes of a table above which TRUNCATE is faster than DELETE
SECONDS = 10.0  # that a terminated backend takes at most

# Foreign keys are not checked, and a database can be renamed that we are connected to.
SESSION = "SET session_replication_role = replica; SET allow_system_table_mods = on"
# Ends all other connections; tells how many there were, and where the write-ahead log ends.
END = """
PREPARE "end" AS
SELECT count(pg_terminate_backend(pid)), pg_current_wal_insert_lsn()
FROM pg_stat_get_activity(NULL) WHERE datid = {oid} AND pid <> pg_backend_pid()
"""
TABLES = """
PREPARE tables AS
SELECT quote_ident(relname), pg_relation_size(oid) FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
"""
SEQUENCES = "SELECT quote_ident(sequencename), start_value, last_value FROM pg_sequences"
CATALOGS = (
    *("pg_attribute", "pg_attrdef", "pg_constraint", "pg_trigger", "pg_proc", "pg_type"),
    *("pg_namespace", "pg_rewrite", "pg_policy", "pg_extension", "pg_event_trigger"),
    *("pg_default_acl", "pg_publication", "pg_largeobject_metadata", "pg_statistic"),
)
# What a test may change besides rows. TRUNCATE writes pg_class, so of it only some columns count.
# Of the other catalogs it is how many rows were ever written. PostgreSQL knows that without reading
# them, because each session reports its own before it ends.
STATE = f"""
PREPARE state AS
SELECT md5(concat(
  (SELECT string_agg((oid, relname, relkind, relowner, relnatts, relhastriggers, relchecks,
      relrowsecurity, relpersistence, relacl::text, reloptions)::text, ' ' ORDER BY oid)
    FROM pg_class WHERE oid >= 16384 AND relkind <> 't'),
  (SELECT (datdba, datconnlimit, datallowconn, datacl::text)::text
    FROM pg_database WHERE datname = current_database()),
  (SELECT string_agg(setrole::text || setconfig::text, ' ') FROM pg_db_role_setting
    JOIN pg_database d ON d.oid = setdatabase AND datname = current_database()),
  (SELECT string_agg((pg_stat_get_tuples_inserted(oid), pg_stat_get_tuples_updated(oid),
      pg_stat_get_tuples_deleted(oid))::text, ' ' ORDER BY oid)
    FROM unnest('{{{",".join(CATALOGS)}}}'::regclass[]) AS oid)))
"""


class Keeper:
    """A connection to a new database, which makes it new again."""

    def __init__(self, url: URL) -> None:
        self._connection: Any = psycopg2.connect(
            host=url.query["host"],
            port=url.query["port"],
            user=url.username,
            dbname=url.database,
            application_name="keeper",
        )
        self._connection.autocommit = True
        self._cursor = self._connection.cursor()
        self._cursor.execute(SESSION)
        ((self._oid,),) = self._all(
            "SELECT oid FROM pg_database WHERE datname = current_database()"
        )
        for statement in (END.format(oid=self._oid), TABLES, STATE):
            self._cursor.execute(statement)
        self._rows = {}
        for table, _ in self._all("EXECUTE tables"):
            ((found,),) = self._all(f"SELECT json_agg(t) FROM {table} t")
            if found:
                self._rows[table] = json.dumps(found)
        self._sequences = {
            name: (start if last is None else last, last is not None)
            for name, start, last in self._all(SEQUENCES)
        }
        self._state = self._all("EXECUTE state")
        self._written = self._end_others()

    def rename(self, name: str) -> None:
        """Give the database another name."""
        self._cursor.execute(
            "UPDATE pg_database SET datname = %s WHERE oid = %s", [name, self._oid]
        )
        self._written = self._end_others()

    def restore(self) -> bool:
        """End all other connections, and bring the rows back; False if more than rows has changed.

        Where the server has written nothing since the last time, nothing has changed.
        """
        if self._end_others() == self._written:
            return True
        if self._all("EXECUTE state") != self._state:
            return False
        tables = self._all("EXECUTE tables")
        large = [name for name, size in tables if size > LARGE]
        statements = [f"TRUNCATE {', '.join(large)} CASCADE"] if large else []
        statements += [f"DELETE FROM {name}" for name, size in tables if 0 < size <= LARGE]
        statements += [
            f"SELECT setval('{name}', {value}, {called})"
            for name, (value, called) in self._sequences.items()
        ]
        statements += [
            f"INSERT INTO {table} SELECT * FROM json_populate_recordset(NULL::{table}, %s)"
            for table in self._rows
        ]
        self._cursor.execute(";".join(statements), [*self._rows.values()])
        return True

    def close(self) -> None:
        self._connection.close()

    def _end_others(self) -> str:
        """End all other connections; returns where the server's log ends once they have gone."""
        deadline = time.monotonic() + SECONDS
        while True:
            ((number, written),) = self._all('EXECUTE "end"')
            if number == 0:
                return str(written)
            assert time.monotonic() < deadline, "a connection does not end"
            time.sleep(0.002)

    def _all(self, statement: str) -> list[Any]:
        self._cursor.execute(statement)
        return list(self._cursor.fetchall())


class ReusedDatabase:
    """Lends a copy of the database `template` to one test after the other."""

    def __init__(self, server: URL, template: str, new_name: Callable[[], str]) -> None:
        self._server = server
        self._template = template
        self._new_name = new_name
        self._keeper: Keeper | None = None

    @contextmanager
    def lend(self, admin: Any) -> Iterator[URL]:
        """Lend it under a new name; `admin` is a cursor on another database of the server."""
        name = self._new_name()
        url = self._server.set(database=name)
        keeper = self._renamed(name)
        if keeper is None:
            admin.execute(f"CREATE DATABASE {name} TEMPLATE {self._template} STRATEGY file_copy")
            keeper = Keeper(url)
        self._keeper = keeper
        yield url
        restored = False
        with suppress(psycopg2.Error):  # the test has dropped it
            restored = keeper.restore()
        if not restored:
            self.close()
            admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def close(self) -> None:
        if self._keeper is not None:
            self._keeper.close()
            self._keeper = None

    def _renamed(self, name: str) -> Keeper | None:
        with suppress(psycopg2.Error):  # a test has cut all connections
            if self._keeper is not None:
                self._keeper.rename(name)
                return self._keeper
        return None
