"""The journal of changes, read in the order in which it was written.

Syncs and retention write under one lock, which they hold until they commit, so numbers become
visible in their order: whoever has read up to one has missed none before it.
"""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from models import Change
from server.catalog.entry import Entry

COLUMNS = (Change.seq, Change.kind, Change.at, Change.album, Change.detail)


def read(session: Session, after: int, limit: int) -> list[dict[str, Any]]:
    """Up to `limit` changes after the one numbered `after`, each as `schemas.ChangeShape`."""
    rows = select(*COLUMNS).where(Change.seq > after).order_by(Change.seq).limit(limit)
    return [row._asdict() for row in session.execute(rows)]


def entries(session: Session, after: int, limit: int) -> list[Entry]:
    """The same, ready to be told."""
    return [Entry.of(change) for change in read(session, after, limit)]


def latest_entries(session: Session, limit: int) -> list[Entry]:
    """The last changes of all, in order, ready to be told."""
    rows = session.execute(select(*COLUMNS).order_by(Change.seq.desc()).limit(limit)).all()
    return [Entry.of(row._asdict()) for row in reversed(rows)]
