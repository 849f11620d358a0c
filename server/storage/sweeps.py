"""Writes a sweep to the database in one transaction, with a constant number of statements."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from server.spotify.sweep import Sweep, Tally
from server.storage import changes as journal
from server.storage.listings import record_listings
from server.storage.releases import write_releases
from server.storage.sync_runs import record_run, record_verdicts

CHANNEL = "freshet_synced"  # of NOTIFY: the snapshot has changed, or a sync has ended
WRITERS_LOCK = 0x73796E63  # advisory lock, an arbitrary number: writers take turns


def record_sweep(
    session: Session,
    sweep: Sweep,
    started_at: datetime,
    now: Callable[[], datetime],
    origin: str = "",
) -> Tally:
    """Update the local copy to what `sweep` saw, store its verdicts, and notify every process.

    The clock `now` is read once the writers' lock is held, so that times do not go back from one
    sync to the next. `origin` is sent with the notice, so that a process recognises its own.
    """
    session.execute(select(func.pg_advisory_xact_lock(WRITERS_LOCK)))
    at, tally = now(), Tally()
    written = write_releases(session, sweep.releases, at)
    tally.artists_changed = written.artists_changed
    changes = written.updates + record_listings(session, sweep, started_at, at)
    described = written.summaries
    others = {
        change.album for change in changes
    } - described.keys()  # that left a list, or came back
    journal.record(session, changes, described | journal.read_summaries(session, others), at)
    tally.added = sum(change.kind == "added" for change in changes)
    tally.updated = sum(change.kind == "updated" for change in changes)
    tally.gone = sum(change.kind == "gone" for change in changes)
    tally.new_at = record_run(session, sweep, tally, started_at, at)
    record_verdicts(session, sweep.verdicts)
    session.execute(select(func.pg_notify(CHANNEL, origin)))
    return tally
