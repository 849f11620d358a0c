"""The schema: created, upgraded and checked, safely from several hosts at once."""

import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import psycopg2
import sqlalchemy.exc
from psycopg2 import errors, sql
from sqlalchemy import URL, Connection, Engine, text

from server.config.addresses import ROOT
from server.database import preflight, search_index
from server.database.engine import make_engine, translated_errors, unpooled_connection
from server.errors import DatabaseUnavailable, SchemaMismatch

VERSIONS = ROOT / "alembic" / "versions"
REVISION = re.compile(r'^(down_)?revision = "(\w+)"$', re.MULTILINE)
FIND_REVISION = "SELECT max(version_num) FROM alembic_version"  # for plain connections
CREATE = "run python manage.py create_db"
MIGRATION_LOCK = 0x46726573  # an arbitrary key, the same on every host


@cache
def newest() -> str:
    """Return the revision that this program needs: the one that no other is based on."""
    (head,) = revisions() - {each for down, each in _declared() if down}
    return head


@cache
def revisions() -> frozenset[str]:
    """Return all revisions that this program knows."""
    return frozenset(each for down, each in _declared() if not down)


def _declared() -> list[tuple[str, str]]:
    """Return (prefix, revision) pairs from the migration files; a revision's own has no prefix."""
    files = (file.read_text("utf-8") for file in VERSIONS.glob("*.py"))
    return [match for text in files for match in REVISION.findall(text)]


def current(connection: Connection) -> str | None:
    """Return the revision of the database; None before the first migration."""
    if connection.scalar(text("SELECT to_regclass('alembic_version')")) is None:
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def create(engine: Engine) -> str:
    """Create the database if it is missing, and upgrade its schema to the newest revision.

    Adds the indexes of the search where these are possible. Never drops anything; may be repeated,
    and run on several hosts at once. Returns the revision. Raises DatabaseUnavailable,
    DatabaseUnsuitable, or SchemaMismatch if the schema is newer than this program.
    """
    with translated_errors():
        try:
            preflight.require_sessions(engine)
        except sqlalchemy.exc.OperationalError as error:
            if not _means_missing(error, engine.url):
                raise
            _make_database(engine.url)
            preflight.require_sessions(engine)
        with engine.connect() as connection:
            preflight.require_encoding(connection)
            is_newest = current(connection) == newest()
        revision = newest() if is_newest else migrate(engine, "head")
        search_index.add(engine, MIGRATION_LOCK)
        return revision


def migrate(engine: Engine, revision: str) -> str:
    """Upgrade to `revision` in one transaction, under a lock that other hosts wait for.

    Returns the revision. Raises SchemaMismatch if tables of other programs or of a newer version
    are in the way, and DatabaseUnsuitable if rights are missing.
    """
    from server.database import migrations  # takes 6 MB and 0.1 s, needed once a version

    with engine.begin() as connection:
        connection.execute(text("SET LOCAL lock_timeout = 0"))
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        _require_known(current(connection))
        preflight.require_writable(connection)
        preflight.require_rights(connection, behind=True)
        try:
            migrations.upgrade(connection, revision)
        except sqlalchemy.exc.ProgrammingError as error:
            reason = str(error.orig).strip().splitlines()[0]
            raise SchemaMismatch(
                f"the tables cannot be created or upgraded: {reason}",
                "set DATABASE_URL to a database that no other program uses",
            ) from error
        return current(connection) or "base"


def check(connection: Connection) -> None:
    """Raise an error unless the database can be used as it is.

    DatabaseUnsuitable: its encoding does not have every character. SchemaMismatch: it is not at the
    revision that this program needs.
    """
    preflight.require_encoding(connection)
    require(current(connection))


def require(found: str | None) -> None:
    """Raise SchemaMismatch unless `found` is the revision that this program needs."""
    _require_known(found)
    if found != newest():
        raise SchemaMismatch(
            f"the schema is at revision {found or 'none'}, this Freshet needs {newest()}",
            CREATE,
        )


def _require_known(found: str | None) -> None:
    if found is not None and found not in revisions():
        raise SchemaMismatch(
            f"the schema is at revision {found}, which is that of a newer version of Freshet",
            "run that version, or restore a backup from before (docs/operating.md, Upgrading)",
        )


def is_missing(url: URL) -> bool:
    """Return whether the server reports that the database in `url` does not exist."""
    try:
        _try_connection(url)
    except sqlalchemy.exc.OperationalError as error:
        if not _means_missing(error, url):
            raise
        return True
    return False


def _means_missing(error: sqlalchemy.exc.OperationalError, url: URL) -> bool:
    """Return whether a connection failed because the database in `url` does not exist."""
    # The message may be in any language and has no code, but it contains the name.
    return (url.database or "") in str(error.orig) and not _database_exists(url)


def _make_database(url: URL) -> None:
    """Create the database in `url`, unless another host has just done so."""
    # Every cluster has the locale C, whose sort order does not depend on the system's libraries.
    statement = sql.SQL("CREATE DATABASE {} ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0")
    try:
        with _administration(url) as cursor:
            cursor.execute(statement.format(sql.Identifier(url.database or "")))
    except (errors.DuplicateDatabase, errors.UniqueViolation):
        return  # another host was faster
    except psycopg2.Error as error:
        reason = str(error).strip().splitlines()[0]
        raise DatabaseUnavailable(
            f"the database {url.database} does not exist and could not be created: {reason}",
            creation_hint(url),
        ) from error


def can_create(url: URL) -> bool:
    """Return whether `create` can create the database in `url`; False if that is unknown."""
    try:
        with _administration(url) as cursor:
            cursor.execute(
                "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
            )
            return bool(cursor.fetchone()[0])
    except (psycopg2.Error, sqlalchemy.exc.DBAPIError):
        return False


def creation_hint(url: URL) -> str:
    """Return the command with which a superuser creates the database in `url`."""
    name, owner = shlex.quote(url.database or ""), shlex.quote(url.username or "ROLE")
    return f"as a superuser, run createdb -E UTF8 -l C -T template0 -O {owner} -- {name}"


def _try_connection(url: URL) -> None:
    probe = make_engine(url)
    try:
        probe.connect().close()
    finally:
        probe.dispose()


def _database_exists(url: URL) -> bool:
    """Return whether the server lists the database; also True if that is unknown."""
    try:
        with _administration(url) as cursor:
            cursor.execute("SELECT FROM pg_database WHERE datname = %s", [url.database])
            return cursor.fetchone() is not None
    except (psycopg2.Error, sqlalchemy.exc.DBAPIError):
        return True


@contextmanager
def _administration(url: URL) -> Iterator[Any]:
    """Yield a cursor in the server's `postgres` database, outside any transaction."""
    engine = make_engine(url.set(database="postgres"))
    try:
        with unpooled_connection(engine) as connection, connection.cursor() as cursor:
            yield cursor
    finally:
        engine.dispose()
