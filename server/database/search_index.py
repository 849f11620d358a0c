"""The indexes of the search for a text, which take PostgreSQL's extension pg_trgm.

They are no part of the schema, as not every server has the extension and not every role may create
it: any start adds them once that is possible. Without them a search walks through all releases.
"""

from dataclasses import dataclass

import sqlalchemy.exc
import structlog
from sqlalchemy import Connection, Engine, text

from models.album import CODED, IS_SEARCHABLE, SEARCHED

LOCK_TIMEOUT = "10s"  # for each lock; writers wait behind it
STATE = text("""
SELECT format('%I', current_schema()) AS schema,
    (SELECT format('%I', nspname) FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace
        WHERE extname = 'pg_trgm') AS installed_in,
    (SELECT bool_or(CASE WHEN trusted THEN has_database_privilege(current_database(), 'CREATE')
            ELSE (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) END)
        FROM pg_available_extension_versions WHERE name = 'pg_trgm') AS may_install,
    (SELECT bool_and(pg_has_role(relowner, 'USAGE')) FROM pg_class
        WHERE oid = ANY(ARRAY(SELECT to_regclass(each) FROM unnest(CAST(:tables AS text[])) each)))
        AND has_schema_privilege(current_schema(), 'CREATE') AS may_index
""")

log = structlog.get_logger()


@dataclass(frozen=True)
class Missing:
    """Why the indexes are missing, and what makes them.

    `available` is whether PostgreSQL has the extension, `allowed` whether the role may make all.
    """

    available: bool
    allowed: bool
    statements: list[str]


def missing(connection: Connection) -> Missing | None:
    """Return what is known about the indexes; None if they are there."""
    if connection.scalar(text(IS_SEARCHABLE)):
        return None
    found = connection.execute(STATE, {"tables": [*SEARCHED]}).one()
    statements = []
    if found.installed_in is None:
        statements.append(f"CREATE EXTENSION pg_trgm WITH SCHEMA {found.schema}")
    operators = f"{found.installed_in or found.schema}.gin_trgm_ops"
    for table, index in SEARCHED.items():
        statements.append(
            f"CREATE INDEX IF NOT EXISTS {index} ON {found.schema}.{table} "
            f"USING gin ({CODED.format('folded_name')} {operators})"
        )
    available = found.installed_in is not None or found.may_install is not None
    may_install = found.installed_in is not None or bool(found.may_install)
    return Missing(available, may_install and bool(found.may_index), statements)


def add(engine: Engine, lock: int) -> None:
    """Add the indexes unless they are there or cannot be made; `lock` is held meanwhile.

    A failure is logged and harms nothing. It takes about a minute for a million albums, in which
    nothing can be written.
    """
    with engine.connect() as connection:
        found = missing(connection)
    if found is None or not found.allowed:
        return
    try:
        with engine.begin() as connection:
            connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": lock})
            _make(connection)
    except sqlalchemy.exc.DBAPIError as error:
        log.warning("search_index_not_made", reason=str(error.orig).strip().splitlines()[0])


def _make(connection: Connection) -> None:
    found = missing(connection)  # another host may have been faster
    if found is not None:
        plain = connection.execution_options(no_parameters=True)  # names may have any character
        for statement in found.statements:
            plain.exec_driver_sql(statement)
