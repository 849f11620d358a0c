"""The schema's life: made, upgraded and checked, safely from many hosts at once."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import psycopg2
import sqlalchemy.exc
from psycopg2 import errors, sql
from sqlalchemy import URL, Connection, Engine, text

from server.addresses import ROOT
from server.database import make_engine, translated_errors
from server.errors import DatabaseUnavailable, SchemaMismatch

VERSIONS = ROOT / "alembic" / "versions"
REVISION = re.compile(r'^(down_)?revision = "(\w+)"$', re.MULTILINE)
FIND = "SELECT max(version_num) FROM alembic_version"  # for who has no engine
MIGRATION_LOCK = 0x46726573  # any number of our own, the same on every host


@cache
def newest() -> str:
    """The revision this program is written for: the one that no other is built on."""
    files = (file.read_text("utf-8") for file in VERSIONS.glob("*.py"))
    found = [match for text in files for match in REVISION.findall(text)]
    (head,) = {each for down, each in found if not down} - {each for down, each in found if down}
    return str(head)


def current(connection: Connection) -> str | None:
    """The revision the database is at; None before the first migration."""
    if connection.scalar(text("SELECT to_regclass('alembic_version')")) is None:
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def create(engine: Engine) -> str:
    """Make the database if it is missing and bring its schema to the newest revision.

    Never drops anything; may be repeated, and run on several hosts at once. Returns the revision.
    Raises DatabaseUnavailable, or SchemaMismatch if the schema is newer than this program.
    """
    with translated_errors():
        _make_database(engine.url)
        with engine.connect() as connection:
            if current(connection) == newest():
                return newest()
        return migrate(engine, "head")


def migrate(engine: Engine, revision: str) -> str:
    """Upgrade to `revision` in one transaction, under a lock that other hosts wait for.

    Raises SchemaMismatch where tables of others or missing rights are in the way.
    """
    from server import migrations  # 6 MB and 0.1 s, of use once a version

    with engine.begin() as connection:
        connection.execute(text("SET LOCAL lock_timeout = 0"))
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        try:
            migrations.upgrade(connection, revision, current(connection))
        except sqlalchemy.exc.ProgrammingError as error:
            reason = str(error.orig).strip().splitlines()[0]
            raise SchemaMismatch(f"the tables cannot be made or upgraded: {reason}") from error
        return current(connection) or "base"


def check(connection: Connection) -> None:
    """Raise SchemaMismatch unless the database is at the revision this program is written for."""
    require(current(connection))


def require(found: str | None) -> None:
    """Raise SchemaMismatch unless the revision that was found is this program's."""
    wanted = newest()
    if found != wanted:
        raise SchemaMismatch(
            f"the schema is at revision {found or 'none'}, this Freshet needs {wanted}: "
            "run python manage.py create_db"
        )


def _make_database(url: URL) -> None:
    """Create the database named in `url` if the server answers that there is none."""
    try:
        _try_connection(url)
        return
    except sqlalchemy.exc.OperationalError as error:
        # The sentence may be in any language and comes without a code, but it gives the name.
        if (url.database or "") not in str(error.orig) or _database_exists(url):
            raise
    name = sql.Identifier(url.database or "")
    statement = sql.SQL("CREATE DATABASE {} ENCODING 'UTF8' TEMPLATE template0").format(name)
    try:
        with _administration(url) as connection:
            connection.execute(statement)
    except (errors.DuplicateDatabase, errors.UniqueViolation):
        return  # another host was faster
    except psycopg2.Error as error:
        raise DatabaseUnavailable(
            f"database {url.database} does not exist and could not be made: {error}".strip()
        ) from error


def _try_connection(url: URL) -> None:
    probe = make_engine(url)
    try:
        probe.connect().close()
    finally:
        probe.dispose()


def _database_exists(url: URL) -> bool:
    """Whether the server lists it; also True if that cannot be asked."""
    try:
        with _administration(url) as connection:
            connection.execute("SELECT FROM pg_database WHERE datname = %s", [url.database])
            return connection.fetchone() is not None
    except (psycopg2.Error, sqlalchemy.exc.DBAPIError):
        return True


@contextmanager
def _administration(url: URL) -> Iterator[Any]:
    """A cursor in the server's `postgres` database, outside any transaction."""
    engine = make_engine(url.set(database="postgres"))
    try:
        pooled = engine.raw_connection()
        try:
            connection: Any = pooled.driver_connection
            connection.autocommit = True
            with connection.cursor() as cursor:
                yield cursor
        finally:
            pooled.close()
    finally:
        engine.dispose()
