"""The bridge from the IOLoop to the database.

SQLAlchemy's drivers block, so every call goes through `Database.run` into a small pool of threads,
and the loop never waits.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import URL, Engine
from sqlalchemy.orm import Session

from server.config.addresses import EmbeddedDatabase, forget_other_servers
from server.database.embedded import EmbeddedPostgres
from server.database.engine import THREADS, make_engine, translated_errors
from server.errors import DatabaseUnavailable
from server.threads import Threads

P = ParamSpec("P")
T = TypeVar("T")

CLOSE_SECONDS = 1.0  # how long `close()` waits for running queries


class Database:
    """Runs functions in transactions, in threads.

    With an EmbeddedDatabase it also runs that server: `connect()` starts it, and may be called
    again after it was lost. `postgres` holds further parameters of that server.
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
        self._starter = Threads(1, gives_way=False)  # PostgreSQL would inherit the lower priority
        self.reachable = False  # according to the last attempt
        if self._postgres is not None:
            forget_other_servers()

    @property
    def engine(self) -> Engine:
        """The engine. Raises DatabaseUnavailable until `connect()` has succeeded once."""
        if self._engine is None:
            raise DatabaseUnavailable("not connected yet")
        return self._engine

    def connect(self) -> bool:
        """Start the embedded server, if there is one, and create the engine.

        Blocks for 0.1 s when the embedded server has to start, 2 s the very first time. Returns
        whether this call started it. Raises DatabaseError.
        """
        if self.threads.closed:
            raise DatabaseUnavailable("the database has been closed")
        started = self._postgres is not None and self._postgres.start()
        url = self._url if self._postgres is None else self._postgres.url
        if url is not None and (self._engine is None or self._engine.url != url):
            self._replace_engine(url)
        return started

    async def start(self) -> bool:
        """Call `connect` in a thread."""
        return await _call(self._starter, self.connect)

    def _replace_engine(self, url: URL) -> None:
        if self._engine is not None:
            self._engine.dispose()
        self._engine = make_engine(url)

    async def run(
        self, function: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call `function(session, …)` in a thread and a transaction; commit if it returns.

        Raises DatabaseUnavailable if the database cannot be reached, SchemaMismatch if a table or
        column is missing.
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
        """Call blocking or slow `function(*args)` in one of the threads, without a session."""
        return await _call(self.threads, function, *args)

    def close(self) -> None:
        """Close all connections and stop the embedded server if it is ours; takes 10 s at most.

        A query that runs for longer than CLOSE_SECONDS is abandoned; the server rolls it back.
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
    """Yield an engine for a command that runs once; close everything it started at the end."""
    database = Database(address)
    try:
        database.connect()
        yield database.engine
    finally:
        database.close()
