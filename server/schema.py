"""The schema's life: made, upgraded and checked through Alembic, safely from many hosts at once."""

from typing import Any

import sqlalchemy.exc
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import URL, Connection, Engine, create_engine, text

from alembic import command
from server.config import ROOT
from server.database import translated_errors
from server.errors import DatabaseUnavailable, SchemaMismatch

MIGRATION_LOCK = 0x46726573  # any number of our own, the same on every host


def alembic_config(**attributes: Any) -> Config:
    """Alembic's configuration, from the `[alembic]` section of setup.cfg."""
    config = Config(ROOT / "setup.cfg")
    config.attributes.update(attributes)
    return config


def newest() -> str | None:
    """The revision this program is written for."""
    return ScriptDirectory.from_config(alembic_config()).get_current_head()


def current(connection: Connection) -> str | None:
    """The revision the database is at; None before the first migration."""
    return MigrationContext.configure(connection).get_current_revision()


def create(engine: Engine) -> str:
    """Make the database if it is missing and bring its schema to the newest revision.

    Never drops anything; may be repeated, and run on several hosts at once. Returns the revision.
    Raises DatabaseUnavailable, or SchemaMismatch if the schema is newer than this program.
    """
    with translated_errors():
        _make_database(engine.url)
        return migrate(engine, "head")


def migrate(engine: Engine, revision: str) -> str:
    """Upgrade to `revision` in one transaction, under a lock that other hosts wait for."""
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL lock_timeout = 0"))
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        try:
            command.upgrade(alembic_config(connection=connection), revision)
        except CommandError as error:
            raise SchemaMismatch(
                f"the database is at revision {current(connection)}, which this Freshet does not "
                "know: it was migrated by a newer one; upgrade this one"
            ) from error
        return current(connection) or "base"


def check(connection: Connection) -> None:
    """Raise SchemaMismatch unless the database is at the revision this program is written for."""
    found, wanted = current(connection), newest()
    if found != wanted:
        raise SchemaMismatch(
            f"the schema is at revision {found or 'none'}, this Freshet needs {wanted}: "
            "run python manage.py create_db"
        )


def _make_database(url: URL) -> None:
    """Create the database named in `url` when the server says that it does not exist."""
    try:
        _try_connection(url)
        return
    except sqlalchemy.exc.OperationalError as error:
        if "does not exist" not in str(error.orig) or "database" not in str(error.orig):
            raise
    administration = create_engine(url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    try:
        with administration.connect() as connection:
            name = connection.dialect.identifier_preparer.quote(url.database or "")
            connection.execute(text(f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0"))
    except sqlalchemy.exc.DBAPIError as error:
        if "already exists" in str(error.orig) or "pg_database_datname_index" in str(error.orig):
            return  # another host was faster
        raise DatabaseUnavailable(
            f"database {url.database} does not exist and could not be made: {error.orig}".strip()
        ) from error
    finally:
        administration.dispose()


def _try_connection(url: URL) -> None:
    probe = create_engine(url, connect_args={"connect_timeout": 5})
    try:
        probe.connect().close()
    finally:
        probe.dispose()
