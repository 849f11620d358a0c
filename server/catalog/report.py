"""What one sync did, as the log, the command line and the timetable hear of it."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Self

import structlog

from server.catalog.sweep import Sweep, Tally
from server.spotify.ledger import Purpose
from server.spotify.paging import SourceName
from server.spotify.sources import Setting

log = structlog.get_logger()


@dataclass(frozen=True)
class Report:
    """What one sync did; `outcome` is complete, partial or failed, counts are of albums.

    `calls` counts all that Spotify was asked, `pages` those calls that brought a page,
    `pages_skipped` pages that could not be read; `skipped` counts unusable items.
    """

    outcome: str
    source: SourceName | None
    calls: int
    duration_ms: int
    seen: int = 0
    added: int = 0
    updated: int = 0
    gone: int = 0
    skipped: int = 0
    pages: int = 0
    pages_skipped: int = 0
    error: str | None = None

    @classmethod
    def of(cls, sweep: Sweep, tally: Tally, duration_ms: int) -> Self:
        """The report of a sweep that has been stored."""
        return cls(
            outcome=sweep.outcome,
            source=sweep.source,
            calls=sweep.calls,
            duration_ms=duration_ms,
            seen=len(sweep.releases),
            added=tally.added,
            updated=tally.updated,
            gone=tally.gone,
            skipped=sweep.skipped,
            pages=sweep.pages,
            pages_skipped=sweep.pages_skipped,
            error=sweep.error,
        )


def tell_start(setting: Setting, purpose: Purpose) -> None:
    """Log that a sync has begun: which source SYNC_SOURCE names, and who wanted it."""
    trigger = "person" if purpose == "interactive" else "clock"
    log.info("sync_started", source=setting, trigger=trigger)


def tell(report: Report) -> None:
    """Log the one event that a sync ends in."""
    if report.outcome == "failed":
        log.error("sync_failed", **asdict(report))
    elif report.outcome == "partial":
        log.warning("sync_finished", **asdict(report))
    else:
        log.info("sync_finished", **asdict(report))


def stopwatch() -> Callable[[], int]:
    """What tells the milliseconds since now."""
    started = time.monotonic()
    return lambda: round((time.monotonic() - started) * 1000)
