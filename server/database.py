"""The engine, and the one bridge from the IOLoop to the database.

SQLAlchemy's drivers block, so every use crosses `Database.run` into a small pool of threads; the
loop never waits. Driver errors become DatabaseUnavailable here and are known nowhere else.
"""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Concatenate, ParamSpec, TypeVar

import orjson
import psycopg2
import sqlalchemy.exc
from sqlalchemy import URL, Engine, create_engine
from sqlalchemy.orm import Session

from server.config import EmbeddedDatabase
from server.embedded import EmbeddedPostgres
from server.errors import DatabaseUnavailable

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 4
LOST = (
    sqlalchemy.exc.OperationalError,
    sqlalchemy.exc.InterfaceError,
    sqlalchemy.exc.TimeoutError,
    psycopg2.OperationalError,
    psycopg2.InterfaceError,
)


def make_engine(url: URL) -> Engine:
    """An engine whose sessions are in UTC and whose errors show no parameters."""
    return create_engine(
        url,
        pool_size=THREADS,
        max_overflow=0,
        pool_timeout=10,
        pool_pre_ping=True,
        hide_parameters=True,
        json_serializer=lambda value: orjson.dumps(value).decode(),
        json_deserializer=orjson.loads,
        connect_args={
            "connect_timeout": 5,
            "application_name": "freshet",
            "options": "-c timezone=UTC -c statement_timeout=60000 -c lock_timeout=60000",
        },
    )


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn what a driver says of a lost or refused connection into DatabaseUnavailable."""
    try:
        yield
    except LOST as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()
        raise DatabaseUnavailable(reason[0] if reason else type(error).__name__) from error
    except sqlalchemy.exc.DBAPIError as error:
        if error.connection_invalidated:
            raise DatabaseUnavailable("the connection was lost") from error
        raise


class Database:
    """Runs functions in transactions, off the loop.

    With an EmbeddedDatabase it also keeps that server running: `connect()` starts it and may be
    called again after it was lost.
    """

    def __init__(self, address: URL | EmbeddedDatabase) -> None:
        self._postgres = (
            EmbeddedPostgres(address.directory) if isinstance(address, EmbeddedDatabase) else None
        )
        self._url = None if isinstance(address, EmbeddedDatabase) else address
        self._engine: Engine | None = None
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="database")

    @property
    def engine(self) -> Engine:
        """The engine; `connect()` must have succeeded once."""
        if self._engine is None:
            raise DatabaseUnavailable("not connected yet")
        return self._engine

    def connect(self) -> None:
        """Start the embedded server where there is one, and make the engine; from the main thread.

        Blocks for 0.1 s when the embedded server has to start, 2 s the very first time.
        """
        if self._postgres is not None:
            self._postgres.start()
            if self._engine is None or self._engine.url != self._postgres.url:
                self._replace_engine(self._postgres.url)
        elif self._engine is None and self._url is not None:
            self._replace_engine(self._url)

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

        return await self.compute(call)

    async def compute(self, function: Callable[..., T], *args: Any) -> T:
        """Call blocking or lengthy `function(*args)` in one of the threads, without a database."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *args)

    def close(self) -> None:
        """Wait for what runs, close every connection, stop the embedded server if it is ours."""
        self._threads.shutdown(cancel_futures=True)
        if self._engine is not None:
            self._engine.dispose()
        if self._postgres is not None:
            self._postgres.stop()


@contextmanager
def open_engine(address: URL | EmbeddedDatabase) -> Iterator[Engine]:
    """An engine for a command that runs once, closed with all it started."""
    database = Database(address)
    try:
        database.connect()
        yield database.engine
    finally:
        database.close()
