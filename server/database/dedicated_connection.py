"""Connections outside the pool, for what lasts as long as its session: locks and notices."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from server.database.engine import translated_errors
from server.database.executor import Database

Prepare = Callable[[Any], None]


async def connect(
    database: Database, compute: Callable[..., Awaitable[Any]], prepare: Prepare
) -> Any:
    """A connection that commits by itself, made by `compute`, which calls off the loop.

    `prepare` gets a cursor of it first. If we are cancelled meanwhile, nobody keeps it. Raises
    DatabaseError.
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
