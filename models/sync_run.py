"""The history of syncs."""

from datetime import datetime

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped

from models.base import Base, Surrogate


class SyncRun(Surrogate, Base):
    """One sync: `outcome` is complete, partial or failed; `changed` is true if any content changed.

    `why` is the reason for choosing `source`.
    """

    __tablename__ = "sync_runs"

    source: Mapped[str | None]
    why: Mapped[str | None]
    outcome: Mapped[str]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime]
    calls: Mapped[int]
    seen: Mapped[int]
    added: Mapped[int]
    updated: Mapped[int]
    gone: Mapped[int]
    skipped: Mapped[int]
    changed: Mapped[bool]
    error: Mapped[str | None]


Index("ix_sync_runs_outcome_finished_at", SyncRun.outcome, SyncRun.finished_at)
Index("ix_sync_runs_outcome_id", SyncRun.outcome, SyncRun.id)
Index("ix_sync_runs_brought", SyncRun.id, postgresql_where=text("outcome <> 'failed'"))
Index("ix_sync_runs_added", SyncRun.id, postgresql_where=text("added > 0"))
Index("ix_sync_runs_changed", SyncRun.id, postgresql_where=text("changed"))
Index("ix_sync_runs_finished_at", SyncRun.finished_at)
