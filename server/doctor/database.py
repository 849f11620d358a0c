"""Checks of the database: whether it can be reached and used, and a fix if it cannot."""

import os
import shlex
from pathlib import Path

import sqlalchemy
from sqlalchemy import Engine

from server.config import private_files
from server.config.addresses import EmbeddedDatabase
from server.database import preflight, schema
from server.database.embedded.programs import binaries
from server.database.engine import translated_errors
from server.database.executor import Database
from server.doctor.report import Finding
from server.errors import DatabaseError, DatabaseUnavailable, EmbeddedPostgresError, SchemaMismatch

SLOW_SEARCH = "; as it lacks pg_trgm, `q` with `limit` finds rare words only page by page"
ADVICE = "check DATABASE_URL, and that PostgreSQL is running there"


async def of_database(database: Database) -> Finding:
    """Check the database without creating or changing anything."""
    address = database.address
    try:
        if isinstance(address, EmbeddedDatabase) and not address.directory.exists():
            require_place(address.directory)
            text = f"{address} does not exist yet; the first run creates it"
            return Finding("note", "database", text)
        await database.start()
        has_trigrams = await database.compute(_inspect, database.engine)
    except DatabaseUnavailable as error:
        return Finding("fault", "database", error.fault, error.fix or ADVICE)
    except DatabaseError as error:
        return Finding("fault", "database", error.fault, error.fix)
    text = f"reachable; its schema is the newest ({schema.newest()})"
    return Finding("ok", "database", text if has_trigrams else text + SLOW_SEARCH)


def _inspect(engine: Engine) -> bool:
    """Raise the first fault as a DatabaseError, in the order in which faults must be fixed.

    Returns whether the database has the indexes of trigrams.
    """
    with translated_errors():
        if schema.is_missing(engine.url):
            raise DatabaseUnavailable(
                f"the database {engine.url.database} does not exist",
                schema.CREATE
                if schema.can_create(engine.url)
                else schema.creation_hint(engine.url),
            )
        preflight.require_sessions(engine)
        with engine.connect() as connection:
            preflight.require_encoding(connection)
            preflight.require_writable(connection)
            preflight.require_rights(connection, behind=False)
            try:
                schema.check(connection)
            except SchemaMismatch as error:
                if error.fix == schema.CREATE:
                    preflight.require_rights(connection, behind=True)
                raise
            found = sqlalchemy.text("SELECT to_regclass('ix_albums_trigrams') IS NOT NULL")
            return bool(connection.scalar(found))


def require_place(folder: Path) -> None:
    """Raise EmbeddedPostgresError if a data folder cannot be created at `folder`."""
    binaries()
    parent = next(each for each in folder.parents if each.exists())
    if os.access(parent, os.W_OK | os.X_OK):
        return
    account = private_files.account(os.geteuid())
    fix = f"name a folder that {account} may create: DATABASE_URL=embedded:/DIR"
    if parent != folder.parent:
        made = shlex.quote(str(folder.parent))
        fix = f"as root, run `install -d -o {account} -m 700 {made}`, or {fix}"
    raise EmbeddedPostgresError(
        f"{folder} cannot be created, because {account} may not write to {parent}", fix
    )
