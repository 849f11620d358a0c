"""The engine, its sessions, and its errors in words for operators.

Driver errors are known nowhere else: `translated_errors` makes errors of ours of those that an
operator or time can fix.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import orjson
import psycopg2
import psycopg2.errors
import sqlalchemy.exc
from sqlalchemy import URL, Engine, create_engine, event

from server.errors import DatabaseUnavailable, SchemaMismatch

THREADS = 4
POOL_SECONDS = 10  # how long a call waits for a connection of the pool
SESSION = (
    "SET timezone TO 'UTC'; SET statement_timeout TO '60s'; SET lock_timeout TO '60s';"
    "SET idle_in_transaction_session_timeout TO '40s'"  # a frozen process lets go of its locks
)
# Seconds; without them a host that vanished is noticed after two hours (libpq's parameters).
PATIENCE = {
    "connect_timeout": 5,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,  # milliseconds
}
LOST = (
    sqlalchemy.exc.OperationalError,
    sqlalchemy.exc.InterfaceError,
    psycopg2.OperationalError,
    psycopg2.InterfaceError,
)
REFUSED = (  # by a standby, by a full disk, or to a user without the right
    psycopg2.errors.ReadOnlySqlTransaction,
    psycopg2.errors.InsufficientPrivilege,
    psycopg2.errors.DiskFull,
)
OTHER_TABLES = "the tables are those of another version"
OF_ANOTHER_VERSION = (psycopg2.errors.UndefinedTable, psycopg2.errors.UndefinedColumn)


def make_engine(url: URL) -> Engine:
    """An engine whose sessions are in UTC and whose errors do not show the statement's values.

    What the URL's query says of libpq's parameters wins over ours.
    """
    defaults = {**PATIENCE, "application_name": "freshet"}
    engine = create_engine(
        url,
        pool_size=THREADS,
        max_overflow=0,
        pool_timeout=POOL_SECONDS,
        pool_pre_ping=True,
        hide_parameters=True,
        json_serializer=lambda value: orjson.dumps(value).decode(),
        json_deserializer=orjson.loads,
        connect_args={
            "client_encoding": "utf8",
            **{name: value for name, value in defaults.items() if name not in url.query},
        },
    )
    event.listen(engine, "connect", _prepare_session)
    event.listen(engine, "handle_error", _plain)
    return engine


def _prepare_session(connection: Any, _record: object) -> None:
    """Set what PGTZ and PGOPTIONS of our environment or a pooler could bend or refuse."""
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(SESSION)
    connection.autocommit = False


def _plain(context: Any) -> None:
    """Reduce an error to PostgreSQL's main sentence, because operators read it.

    What follows that sentence quotes the row. The statement becomes a note, which only tracebacks
    show, and the link to SQLAlchemy's manual is dropped.
    """
    error, cause = context.sqlalchemy_exception, context.original_exception
    main = cause.diag.message_primary if isinstance(cause, psycopg2.Error) else None
    if main:
        cause.args = (main,)
    if error is not None:
        if main:
            error.args = (f"({type(cause).__name__}) {main}",)
        if error.statement:
            error.add_note(f"[SQL: {error.statement}]")
        error.statement = error.code = None


@contextmanager
def outside_the_pool(engine: Engine) -> Iterator[Any]:
    """A driver's connection of its own, outside any transaction; closed at the end."""
    pooled = engine.raw_connection()
    connection: Any = pooled.driver_connection
    pooled.detach()
    with closing(connection):
        connection.autocommit = True
        yield connection


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn what a driver says of a lost, refused or overtaxed connection into our own error."""
    try:
        yield
    except sqlalchemy.exc.TimeoutError as error:  # its own text is about SQLAlchemy's pool
        raise DatabaseUnavailable(f"no connection became free in {POOL_SECONDS} s") from error
    except LOST as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()
        raise DatabaseUnavailable(reason[0] if reason else type(error).__name__) from error
    except OF_ANOTHER_VERSION as error:
        raise SchemaMismatch(OTHER_TABLES, "run python manage.py doctor") from error
    except sqlalchemy.exc.DBAPIError as error:
        if error.connection_invalidated:
            raise DatabaseUnavailable("the connection was lost") from error
        if isinstance(error, sqlalchemy.exc.ProgrammingError) and _is_of_libpq(error.orig):
            # it does not understand the address
            raise DatabaseUnavailable(str(error.orig).strip()) from error
        if isinstance(error.orig, REFUSED):
            raise DatabaseUnavailable(str(error.orig).strip()) from error
        if isinstance(error.orig, OF_ANOTHER_VERSION):
            raise SchemaMismatch(OTHER_TABLES, "run python manage.py doctor") from error
        raise
    except sqlalchemy.exc.SQLAlchemyError as error:
        error.code = None  # the link to SQLAlchemy's manual, which would end the sentence
        raise


def _is_of_libpq(error: object) -> bool:
    """Whether the client library raised it before any server answered: then it has no SQLSTATE."""
    return isinstance(error, psycopg2.Error) and error.pgcode is None
