"""One database for many tests, each of which finds it as the migrations have made it.

To copy and drop a database costs PostgreSQL more than most tests do. So the rows are deleted
instead, the sequences put back, and the database renamed, so that nothing that a test has left
behind finds it again. A test that has changed more than rows leaves a database that is dropped.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg2
from sqlalchemy import URL

from tests.support.cursors import connected

LARGE = 64 * 1024  # bytes of a table above which TRUNCATE is faster than DELETE
SECONDS = 10.0  # that a terminated backend takes at most

TABLES = """
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


@dataclass(frozen=True)
class Pristine:
    """A new database: its state, the rows of each table that has any, and its sequences."""

    state: str
    rows: dict[str, str]
    sequences: dict[str, tuple[int, bool]]

    @classmethod
    def read(cls, cursor: Any) -> "Pristine":
        rows = {}
        for table, _ in _all(cursor, TABLES):
            ((found,),) = _all(cursor, f"SELECT json_agg(t) FROM {table} t")
            if found:
                rows[table] = json.dumps(found)
        sequences = {
            name: (start if last is None else last, last is not None)
            for name, start, last in _all(cursor, SEQUENCES)
        }
        ((state,),) = _all(cursor, STATE)
        return cls(state, rows, sequences)

    def restore(self, cursor: Any) -> bool:
        """Bring the rows back; returns False if more than rows has changed."""
        ((state,),) = _all(cursor, STATE)
        if state != self.state:
            return False
        tables = _all(cursor, TABLES)
        large = [name for name, size in tables if size > LARGE]
        statements = ["SET session_replication_role = replica"]  # foreign keys are not checked
        if large:
            statements.append(f"TRUNCATE {', '.join(large)} CASCADE")
        statements += [f"DELETE FROM {name}" for name, size in tables if 0 < size <= LARGE]
        statements += [
            f"SELECT setval('{name}', {value}, {called})"
            for name, (value, called) in self.sequences.items()
        ]
        cursor.execute(";".join(statements))
        for table, rows in self.rows.items():
            cursor.execute(
                f"INSERT INTO {table} SELECT * FROM json_populate_recordset(NULL::{table}, %s)",
                [rows],
            )
        return True


class ReusedDatabase:
    """Lends a copy of the database `template` to one test after the other."""

    def __init__(self, server: URL, template: str, new_name: Callable[[], str]) -> None:
        self._server = server
        self._template = template
        self._new_name = new_name
        self._name: str | None = None
        self._pristine: Pristine | None = None

    @contextmanager
    def lend(self, admin: Any) -> Iterator[URL]:
        """Lend it under a new name; `admin` is a cursor on another database of the server."""
        name = self._new_name()
        url = self._server.set(database=name)
        if self._name is None:
            admin.execute(f"CREATE DATABASE {name} TEMPLATE {self._template} STRATEGY file_copy")
        else:
            admin.execute(f"ALTER DATABASE {self._name} RENAME TO {name}")
        self._name = name
        if self._pristine is None:
            with connected(url) as cursor:
                self._pristine = Pristine.read(cursor)
            _end_connections(admin, name)
        yield url
        _end_connections(admin, name)
        if self._is_restored(url):
            _end_connections(admin, name)
        else:
            admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            self._name = self._pristine = None

    def _is_restored(self, url: URL) -> bool:
        assert self._pristine is not None
        try:
            with connected(url) as cursor:
                return self._pristine.restore(cursor)
        except psycopg2.Error:  # the test has dropped it, or closed it to all
            return False


def _end_connections(admin: Any, name: str) -> None:
    """End all connections to a database, and wait until they have gone."""
    deadline = time.monotonic() + SECONDS
    while _all(
        admin,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_get_activity(NULL) WHERE datid = "
        f"(SELECT oid FROM pg_database WHERE datname = '{name}')",
    ):
        assert time.monotonic() < deadline, "a connection does not end"
        time.sleep(0.001)


def _all(cursor: Any, statement: str) -> list[Any]:
    cursor.execute(statement)
    return list(cursor.fetchall())
