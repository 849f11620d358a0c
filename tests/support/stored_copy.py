"""The stored copy of a list, and how a test reads it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import event, select
from sqlalchemy.orm import Session

from models import Album, Listing
from server.database.executor import Database
from server.spotify.sweep import Sweep, Tally
from server.storage import sweeps
from tests.support.examples import spotify_id, sweep

START = datetime(2026, 11, 20, 5, tzinfo=UTC)


class Copy:
    """The local copy of a test, and a clock that moves by `every` a sweep."""

    def __init__(self, database: Database) -> None:
        self.engine = database.engine
        self.at = START
        self.every = timedelta(minutes=30)

    def take(self, items: list[Any] | Sweep, **fields: Any) -> Tally:
        self.at += self.every
        given = items if isinstance(items, Sweep) else sweep(items, **fields)
        with Session(self.engine) as session, session.begin():
            return sweeps.record_sweep(session, given, self.at, lambda: self.at)

    def all(self, statement: Any) -> list[Any]:
        with Session(self.engine) as session:
            return list(session.scalars(statement))

    def rows(self, statement: Any) -> list[tuple[Any, ...]]:
        with Session(self.engine) as session:
            return [tuple(row) for row in session.execute(statement)]

    def listed(self, source: str = "search") -> list[str]:
        return self.all(
            select(Album.spotify_id)
            .join(Listing)
            .where(Listing.until.is_(None), Listing.source == source)
            .order_by(Album.spotify_id)
        )

    @contextmanager
    def statements(self) -> Iterator[list[str]]:
        seen: list[str] = []

        def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
            seen.append(statement)

        event.listen(self.engine, "before_cursor_execute", note)
        yield seen
        event.remove(self.engine, "before_cursor_execute", note)


def id_of(number: int) -> str:
    return spotify_id("album", number)
