"""Cursors beside the server's own connections."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2


@contextmanager
def cursor_on(**address: Any) -> Iterator[Any]:
    """A cursor that commits at once; `address` is libpq's."""
    connection = psycopg2.connect(**address)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()
