"""The SQLAlchemy engine, its sessions, and the translation of its errors.

No other module handles driver errors: `translated_errors` turns those that an operator can fix, or
that pass with time, into errors of `server.errors`.
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
POOL_SECONDS = 10  # longest wait for a connection of the pool
SESSION = (
    "SET timezone TO 'UTC'; SET statement_timeout TO '60s'; SET lock_timeout TO '60s';"
    "SET idle_in_transaction_session_timeout TO '40s'"  # releases the locks of a frozen process
)
# libpq's parameters, in seconds; by default a vanished host is noticed after two hours.
CONNECT_OPTIONS = {
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
REFUSED = (  # by a standby, or for lack of disk space or privileges
    psycopg2.errors.ReadOnlySqlTransaction,
    psycopg2.errors.InsufficientPrivilege,
    psycopg2.errors.DiskFull,
)
OTHER_TABLES = "the tables belong to another version of Freshet"
OF_ANOTHER_VERSION = (psycopg2.errors.UndefinedTable, psycopg2.errors.UndefinedColumn)


def make_engine(url: URL) -> Engine:
    """Return an engine whose sessions use UTC and whose errors do not show parameter values.

    libpq parameters in the URL's query take precedence over our defaults.
    """
    defaults = {**CONNECT_OPTIONS, "application_name": "freshet"}
    engine = create_engine(
        url,
        pool_size=THREADS,
        pool_use_lifo=True,  # the connection used last, whose process has its caches warm
        max_overflow=0,
        pool_timeout=POOL_SECONDS,
        pool_pre_ping=True,
        hide_parameters=True,
        use_native_hstore=False,  # it costs each new connection a query
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
    """Set what PGTZ and PGOPTIONS of the environment, or a pooler, could change or refuse."""
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(SESSION)
    connection.autocommit = False


def _plain(context: Any) -> None:
    """Reduce an error to PostgreSQL's primary message, because operators read it.

    The detail is dropped because it quotes the row, and the link to SQLAlchemy's manual as well.
    The statement becomes a note, which only tracebacks show.
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
def unpooled_connection(engine: Engine) -> Iterator[Any]:
    """Yield a driver connection in autocommit mode that is not of the pool; close it at the end."""
    pooled = engine.raw_connection()
    connection: Any = pooled.driver_connection
    pooled.detach()
    with closing(connection):
        connection.autocommit = True
        yield connection


@contextmanager
def translated_errors() -> Iterator[None]:
    """Translate errors of the driver and of SQLAlchemy.

    Raises DatabaseUnavailable for a lost or refused connection, an exhausted pool and a refused
    write; SchemaMismatch for a missing table or column.
    """
    try:
        yield
    except sqlalchemy.exc.TimeoutError as error:  # its text explains SQLAlchemy's pool
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
            # invalid address
            raise DatabaseUnavailable(str(error.orig).strip()) from error
        if isinstance(error.orig, REFUSED):
            raise DatabaseUnavailable(str(error.orig).strip()) from error
        if isinstance(error.orig, OF_ANOTHER_VERSION):
            raise SchemaMismatch(OTHER_TABLES, "run python manage.py doctor") from error
        raise
    except sqlalchemy.exc.SQLAlchemyError as error:
        error.code = None  # it would append a link to SQLAlchemy's manual
        raise


def _is_of_libpq(error: object) -> bool:
    """Return whether libpq raised the error before any server answered: it has no SQLSTATE."""
    return isinstance(error, psycopg2.Error) and error.pgcode is None
