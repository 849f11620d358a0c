"""The journal of changes, read in the order in which it was written.

Syncs and retention write under one lock, which they hold until they commit, so numbers become
visible in their order: whoever has read up to one has missed none before it.
"""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from models import Change


def read(session: Session, after: int, limit: int) -> list[dict[str, Any]]:
    """Up to `limit` changes after the one numbered `after`, each as `schemas.ChangeShape`."""
    rows = session.execute(
        select(Change.seq, Change.kind, Change.at, Change.album, Change.detail)
        .where(Change.seq > after)
        .order_by(Change.seq)
        .limit(limit)
    )
    return [row._asdict() for row in rows]
