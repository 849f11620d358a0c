"""Connections outside the pool, for locks and LISTEN, which last as long as their session."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from server.database.engine import translated_errors
from server.database.executor import Database

Prepare = Callable[[Any], None]


async def connect(
    database: Database, compute: Callable[..., Awaitable[Any]], prepare: Prepare
) -> Any:
    """Open a connection in autocommit mode, by way of `compute`, which calls in a thread.

    `prepare` receives a cursor of it first. If the caller is cancelled meanwhile, the connection is
    closed. Raises DatabaseError.
    """
    connecting = asyncio.ensure_future(compute(_open, database, prepare))
    try:
        return await asyncio.shield(connecting)
    except asyncio.CancelledError:
        connecting.add_done_callback(_close_unwanted)
        raise


def _open(database: Database, prepare: Prepare) -> Any:
    with translated_errors():
        pooled = database.engine.raw_connection()
        connection: Any = pooled.driver_connection
        pooled.detach()
        try:
            connection.set_session(autocommit=True)
            with connection.cursor() as cursor:
                prepare(cursor)
        except BaseException:
            connection.close()
            raise
        return connection


def _close_unwanted(connected: "asyncio.Future[Any]") -> None:
    if not connected.cancelled() and connected.exception() is None:
        connected.result().close()
