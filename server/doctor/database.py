"""Checks of the database: whether it can be reached and used, and a fix if it cannot."""

import os
import shlex
from pathlib import Path

from sqlalchemy import Engine

from server.config import private_files
from server.config.addresses import EmbeddedDatabase
from server.database import preflight, schema, search_index
from server.database.embedded.programs import binaries
from server.database.engine import translated_errors
from server.database.executor import Database
from server.doctor.report import Finding
from server.errors import DatabaseError, DatabaseUnavailable, EmbeddedPostgresError, SchemaMismatch

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
        await database.compute(_inspect, database.engine)
    except DatabaseUnavailable as error:
        return Finding("fault", "database", error.fault, error.fix or ADVICE)
    except DatabaseError as error:
        return Finding("fault", "database", error.fault, error.fix)
    return Finding("ok", "database", f"reachable; its schema is the newest ({schema.newest()})")


async def of_search(database: Database) -> Finding | None:
    """Check whether searches have their indexes; return None if they have."""
    try:
        missing = await database.compute(_missing_indexes, database.engine)
    except DatabaseError as error:
        return Finding("fault", "search", error.fault, error.fix)
    if missing is None:
        return None
    text = "`q` looks through all releases, 3,000 a page, because the indexes are missing"
    fix = schema.CREATE
    if not missing.available:
        text += " and PostgreSQL lacks the extension pg_trgm"
        fix = f"install it there (the package postgresql-contrib), then {schema.CREATE}"
    elif not missing.allowed:
        text += " and this role may not make them"
        fix = f"as a superuser, run in the database: {'; '.join(missing.statements)};"
    return Finding("note", "search", text, fix)


def _missing_indexes(engine: Engine) -> search_index.Missing | None:
    with translated_errors(), engine.connect() as connection:
        return search_index.missing(connection)


def _inspect(engine: Engine) -> None:
    """Raise the first fault as a DatabaseError, in the order in which faults must be fixed."""
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
