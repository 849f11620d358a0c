"""What a database must offer before Freshet uses it: encoding, sessions that last, rights.

Each function raises DatabaseUnsuitable, with the fix, if the database does not.
"""

from typing import Any

from sqlalchemy import Connection, Engine, text

from models import Base
from server.database.engine import unpooled_connection
from server.errors import DatabaseUnsuitable

TABLES = ["alembic_version", *Base.metadata.tables]
SESSION = (  # identifies a backend among all earlier and later ones
    "SELECT pid, backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid()"
)
SCHEMA = text(
    "SELECT quote_ident(current_schema()), has_schema_privilege(current_schema(), 'CREATE'), "
    "format('%I', current_user)"
)
WRITABLE = text(
    "SELECT current_setting('transaction_read_only'), pg_is_in_recovery(), "
    "format('%I', current_user), format('%I', current_database())"
)
WITHOUT_RIGHTS = text(
    "SELECT format('%I.%I', current_schema(), relname) FROM pg_class "
    "WHERE relname = ANY(:tables) AND relkind = 'r' "
    "AND relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema()) "
    "AND NOT pg_has_role(relowner, 'USAGE') AND (:behind OR NOT ("
    "has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT') AND "
    "has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE'))) ORDER BY relname"
)


def require_encoding(connection: Connection) -> None:
    """Require UTF8, the only encoding that has every character.

    SQL_ASCII stores any bytes, but refuses escapes in JSON. Source:
    postgresql.org/docs/current/multibyte.html.
    """
    found = connection.scalar(text("SHOW server_encoding"))
    if found != "UTF8":
        raise DatabaseUnsuitable(
            f"the database has the encoding {found}, which cannot hold every name",
            "make one that can with `createdb -E UTF8 -l C -T template0 NEW` and name it in "
            "DATABASE_URL; `pg_dump OLD | psql NEW` copies what is stored",
        )


def require_sessions(engine: Engine) -> None:
    """Require that each connection keeps one session, which transaction poolers do not provide.

    With such a pooler, advisory locks outlive their transaction in an arbitrary session,
    notifications are lost, and settings leak to other clients. A pooler reports backend ids of its
    own, so without one a single query is enough.
    """
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        if driver.info.backend_pid == connection.scalar(text("SELECT pg_backend_pid()")):
            return
        connection.invalidate()  # closed, because a pooler may allow only two
    with unpooled_connection(engine) as first, unpooled_connection(engine) as second:
        # Neither PgBouncer's order (last used first) nor round robin gives this pattern.
        order = (first, second, second, first, first, second)
        seen = {(id(each), _query(each)) for each in order}
        if len(seen) == len({session for _, session in seen}) == 2:
            return
    raise DatabaseUnsuitable(
        "a pooler in front of the database changes sessions between transactions, so that locks "
        "and notifications are lost",
        "set pool_mode = session in it (PgBouncer), or name PostgreSQL itself in DATABASE_URL",
    )


def require_writable(connection: Connection) -> None:
    """Require that transactions may write; a standby and some settings refuse that."""
    read_only, standby, role, database = connection.execute(WRITABLE).one()
    if read_only == "off":
        return
    raise DatabaseUnsuitable(
        "the database is read-only",
        "it is a standby: name the primary in DATABASE_URL, or all hosts with "
        "target_session_attrs=read-write"
        if standby
        else f"as a superuser, run: ALTER ROLE {role} IN DATABASE {database} "
        "SET default_transaction_read_only = off;",
    )


def require_rights(connection: Connection, *, behind: bool) -> None:
    """Require that the role may use all tables, and create and alter them if they are `behind`."""
    schema, may_create, role = connection.execute(SCHEMA).one()
    if schema is None or (behind and not may_create):
        raise DatabaseUnsuitable(
            f"the role {role} may not create tables in the schema {schema or 'public'}",
            "as the owner of the database or a superuser, run in it: "
            f"GRANT USAGE, CREATE ON SCHEMA {schema or 'public'} TO {role};",
        )
    values = {"tables": TABLES, "behind": behind}
    tables = connection.scalars(WITHOUT_RIGHTS, values).all()
    if tables:
        statements = "; ".join(f"ALTER TABLE {table} OWNER TO {role}" for table in tables)
        raise DatabaseUnsuitable(
            f"the role {role} may not {'alter' if behind else 'use'} the tables of Freshet, which "
            "belong to another role",
            f"as a superuser, run in the database: {statements};",
        )


def _query(connection: Any) -> tuple[int, str]:
    """Return the session that answers, as (pid, start time)."""
    with connection.cursor() as cursor:
        cursor.execute(SESSION)
        pid, started = cursor.fetchone()
    return int(pid), str(started)
