"""The engine, and the one bridge from the IOLoop to the database.

SQLAlchemy's drivers block, so every use crosses `Database.run` into a small pool of threads; the
loop never waits. Driver errors become DatabaseUnavailable here and are known nowhere else.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Concatenate, ParamSpec, TypeVar

import orjson
import psycopg2
import psycopg2.errors
import sqlalchemy.exc
from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.orm import Session

from server.addresses import EmbeddedDatabase, forget_other_servers
from server.embedded import EmbeddedPostgres
from server.errors import DatabaseUnavailable, SchemaMismatch
from server.threads import Threads

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 4
CLOSE_SECONDS = 1.0  # how long `close()` waits for queries that run
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
    sqlalchemy.exc.TimeoutError,
    psycopg2.OperationalError,
    psycopg2.InterfaceError,
)
REFUSED = (  # by a standby, by a full disk, or to a user without the right
    psycopg2.errors.ReadOnlySqlTransaction,
    psycopg2.errors.InsufficientPrivilege,
    psycopg2.errors.DiskFull,
)
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
        pool_timeout=10,
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
    event.listen(engine, "handle_error", _hide_values)
    return engine


def _prepare_session(connection: Any, _record: object) -> None:
    """Set what PGTZ and PGOPTIONS of our environment or a pooler could bend or refuse."""
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(SESSION)
    connection.autocommit = False


def _hide_values(context: Any) -> None:
    """Leave PostgreSQL's main sentence; what follows quotes the statement and the row."""
    error, cause = context.sqlalchemy_exception, context.original_exception
    if isinstance(cause, psycopg2.Error) and cause.diag.message_primary:
        cause.args = (cause.diag.message_primary,)
        if error is not None:
            error.args = (f"({type(cause).__name__}) {cause.diag.message_primary}",)


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn what a driver says of a lost, refused or overtaxed connection into our own error."""
    try:
        yield
    except LOST as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()
        raise DatabaseUnavailable(reason[0] if reason else type(error).__name__) from error
    except OF_ANOTHER_VERSION as error:
        raise SchemaMismatch("the tables are of another version: run create_db") from error
    except sqlalchemy.exc.DBAPIError as error:
        if error.connection_invalidated:
            raise DatabaseUnavailable("the connection was lost") from error
        if isinstance(error, sqlalchemy.exc.ProgrammingError) and error.statement is None:
            # libpq does not understand the address
            raise DatabaseUnavailable(str(error.orig).strip()) from error
        if isinstance(error.orig, REFUSED):
            raise DatabaseUnavailable(str(error.orig).strip()) from error
        if isinstance(error.orig, OF_ANOTHER_VERSION):
            raise SchemaMismatch("the tables are of another version: run create_db") from error
        raise


class Database:
    """Runs functions in transactions, off the loop.

    With an EmbeddedDatabase it also keeps that server running: `connect()` starts it and may be
    called again after it was lost; `postgres` are parameters of its own.
    """

    def __init__(
        self, address: URL | EmbeddedDatabase, postgres: dict[str, str] | None = None
    ) -> None:
        self.address = address
        self._postgres = (
            EmbeddedPostgres(address.directory, postgres)
            if isinstance(address, EmbeddedDatabase)
            else None
        )
        self._url = None if isinstance(address, EmbeddedDatabase) else address
        self._engine: Engine | None = None
        self.threads = Threads(THREADS)
        self._starter = Threads(1, gives_way=False)  # or PostgreSQL would inherit that
        self.reachable = False  # by what was tried last
        if self._postgres is not None:
            forget_other_servers()

    @property
    def engine(self) -> Engine:
        """The engine; `connect()` must have succeeded once."""
        if self._engine is None:
            raise DatabaseUnavailable("not connected yet")
        return self._engine

    def connect(self) -> bool:
        """Start the embedded server where there is one, and make the engine.

        Blocks for 0.1 s when the embedded server has to start, 2 s the very first time. Returns
        whether it has started it.
        """
        if self.threads.closed:
            raise DatabaseUnavailable("the database has been closed")
        started = self._postgres is not None and self._postgres.start()
        url = self._url if self._postgres is None else self._postgres.url
        if url is not None and (self._engine is None or self._engine.url != url):
            self._replace_engine(url)
        return started

    async def start(self) -> bool:
        """Do that in a thread."""
        return await _call(self._starter, self.connect)

    def _replace_engine(self, url: URL) -> None:
        if self._engine is not None:
            self._engine.dispose()
        self._engine = make_engine(url)

    async def run(
        self, function: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call `function(session, …)` in a thread and a transaction; commit if it returns.

        Raises DatabaseUnavailable when the database cannot be reached.
        """

        def call() -> T:
            with (
                translated_errors(),
                Session(self.engine, expire_on_commit=False) as session,
                session.begin(),
            ):
                return function(session, *args, **kwargs)

        try:
            result = await self.compute(call)
        except DatabaseUnavailable:
            self.reachable = False
            raise
        self.reachable = True
        return result

    async def compute(self, function: Callable[..., T], *args: Any) -> T:
        """Call blocking or lengthy `function(*args)` in one of the threads, without a database."""
        return await _call(self.threads, function, *args)

    def close(self) -> None:
        """Close every connection and stop the embedded server if it is ours; takes 10 s at most.

        What runs may finish, but a query that takes longer than CLOSE_SECONDS is left behind; the
        server rolls it back.
        """
        self.threads.close(CLOSE_SECONDS)
        self._starter.close(CLOSE_SECONDS)
        if self._engine is not None:
            self._engine.dispose()
        if self._postgres is not None:
            self._postgres.stop()


async def _call(threads: Threads, function: Callable[..., T], *args: Any) -> T:
    if threads.closed:
        raise DatabaseUnavailable("the database has been closed")
    return await threads.call(function, *args)


@contextmanager
def open_engine(address: URL | EmbeddedDatabase) -> Iterator[Engine]:
    """An engine for a command that runs once, closed with all it started."""
    database = Database(address)
    try:
        database.connect()
        yield database.engine
    finally:
        database.close()
