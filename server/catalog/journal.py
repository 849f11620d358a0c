"""The journal of changes, read. Each function is one statement in a transaction of the caller's.

Whoever writes it holds `store.WRITERS_LOCK` until the transaction has ended, so changes become
visible in the order of their seq: after one that can be seen, none with a lower seq will ever come.
Every reader who asks on after the last seq it has seen relies on that.
"""

from typing import Any

import orjson
from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from models import Change
from server.catalog.entry import Entry
from server.catalog.snapshot import TIMES

COLUMNS = (Change.seq, Change.kind, Change.at, Change.album, Change.detail)


def read(session: Session, after: int, limit: int) -> list[Entry]:
    """The next changes after a seq, in order."""
    rows = select(*COLUMNS).where(Change.seq > after).order_by(Change.seq).limit(limit)
    return [_entry(row) for row in session.execute(rows)]


def read_latest(session: Session, limit: int) -> list[Entry]:
    """The last changes of all, in order."""
    rows = session.execute(select(*COLUMNS).order_by(Change.seq.desc()).limit(limit)).all()
    return [_entry(row) for row in reversed(rows)]


def _entry(row: Row[Any]) -> Entry:
    return Entry(row.seq, row.kind, orjson.dumps(row._asdict(), option=TIMES))
