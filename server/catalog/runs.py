"""What is remembered of syncs: their outcomes, and which sources this app may use."""

from datetime import datetime

from sqlalchemy import insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from models import Source, SyncRun
from server.catalog.sweep import Sweep, Tally
from server.spotify.sources import SourceName, Verdict


def record_run(
    session: Session, sweep: Sweep, tally: Tally, started_at: datetime, at: datetime
) -> None:
    """Keep what a sync did."""
    session.execute(
        insert(SyncRun).values(
            source=sweep.source,
            outcome=sweep.outcome,
            started_at=started_at,
            finished_at=at,
            calls=sweep.calls,
            seen=len(sweep.releases),
            added=tally.added,
            updated=tally.updated,
            gone=tally.gone,
            skipped=sweep.skipped,
            changed=tally.changed,
            error=sweep.error,
        )
    )


def record_failure(
    session: Session, calls: int, error: str, started_at: datetime, at: datetime
) -> None:
    """Keep that a sync failed; what is served stays as it is."""
    nothing = {"seen": 0, "added": 0, "updated": 0, "gone": 0, "skipped": 0, "changed": False}
    session.execute(
        insert(SyncRun).values(
            outcome="failed",
            started_at=started_at,
            finished_at=at,
            calls=calls,
            error=error,
            **nothing,
        )
    )


def load_verdicts(session: Session) -> dict[SourceName, Verdict]:
    """What is remembered of each source."""
    rows = session.scalars(select(Source))
    return {
        row.name: Verdict(row.verdict == "allowed", row.reason, row.probed_at)  # type: ignore[misc]
        for row in rows
    }


def keep_verdicts(session: Session, verdicts: dict[SourceName, Verdict]) -> None:
    """Remember what was learnt of sources."""
    for name, verdict in verdicts.items():
        values = {
            "verdict": "allowed" if verdict.allowed else "restricted",
            "reason": verdict.reason,
            "probed_at": verdict.probed_at,
        }
        session.execute(
            upsert(Source)
            .values(name=name, **values)
            .on_conflict_do_update(index_elements=[Source.name], set_=values)
        )
