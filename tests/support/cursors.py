"""Cursors beside the server's own connections."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import psycopg2
from sqlalchemy import URL


@contextmanager
def cursor_on(**address: Any) -> Iterator[Any]:
    """Open a cursor that commits each statement; `address` is libpq's."""
    connection = psycopg2.connect(**address)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


def connected(url: URL) -> AbstractContextManager[Any]:
    """Open a cursor on the database at `url` that commits each statement."""
    return cursor_on(
        host=url.query.get("host"),
        port=url.query.get("port"),
        user=url.username,
        dbname=url.database,
    )
