"""The outcome of one sync, for the log, the command line and the schedule."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Self

import structlog

from server.catalog.snapshot import is_stuck
from server.spotify.sweep import Sweep, Tally
from server.spotify.types import Purpose, SourceName, SourceSetting, Verdict
from server.spotify.waiting import has_passed

REMIND = timedelta(hours=24)

log = structlog.get_logger()


@dataclass(frozen=True)
class Report:
    """The outcome of one sync: complete, partial or failed; counts are of albums.

    `calls` counts the calls to Spotify, `pages` those of them that brought a page, `pages_skipped`
    pages that could not be read; `skipped` counts unusable items. `paused` is whether the sync
    failed because no call may be made for a time, so that nothing has to be done.
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
    paused: bool = False

    @classmethod
    def of(cls, sweep: Sweep, tally: Tally, duration_ms: int) -> Self:
        """Make the report of a sweep that has been stored."""
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


def log_start(setting: SourceSetting, purpose: Purpose) -> None:
    """Log that a sync has started: the source that SYNC_SOURCE names, and what triggered it."""
    trigger = "person" if purpose == "interactive" else "clock"
    log.info("sync_started", source=setting, trigger=trigger)


def log_report(report: Report) -> None:
    """Log the one event that ends a sync."""
    if report.outcome == "failed":
        level = logging.WARNING if report.paused else logging.ERROR
        log.log(level, "sync_failed", **asdict(report))
    elif report.outcome == "partial":
        log.warning("sync_finished", **asdict(report))
    else:
        log.info("sync_finished", **asdict(report))


def log_source(sweep: Sweep, before: SourceName | None) -> None:
    """Log that new releases come from another source than `before`."""
    if before not in (None, sweep.source):
        log.warning("source_changed", source=sweep.source, old=before, why=sweep.why)


def log_markets(learnt: Mapping[str, Verdict], known: Mapping[str, Verdict]) -> None:
    """Log each market that Spotify refuses now and did not before, or the other way round."""
    for market, verdict in learnt.items():
        was_refused = market in known and not known[market].allowed
        if verdict.allowed and was_refused:
            log.info("market_served", market=market)
        elif not verdict.allowed and not was_refused:
            log.warning("market_refused", market=market, reason=verdict.reason)


def stopwatch() -> Callable[[], int]:
    """Start a stopwatch: a function that returns the milliseconds since this call."""
    started = time.monotonic()
    return lambda: round((time.monotonic() - started) * 1000)


class StuckFeed:
    """Logs `feed_stuck` when syncs bring nothing new for too long, and again once a day."""

    def __init__(self) -> None:
        self._logged_at: datetime | None = None

    def observe(self, new_at: datetime | None, now: datetime, *, complete: bool) -> None:
        """Take note of a sync; `new_at` is when a sync last brought new albums."""
        if not complete or new_at is None or not is_stuck(new_at, now):
            return
        if has_passed(self._logged_at, REMIND, now):
            self._logged_at = now
            hours = round((now - new_at).total_seconds() / 3600)
            log.warning("feed_stuck", new_at=new_at, hours=hours)
