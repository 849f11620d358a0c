"""The cycle: fetch, parse, upsert, announce – and exactly one event about it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import structlog

from server.catalog import runs, store
from server.catalog.schedule import Schedule
from server.catalog.sweep import Sweep, Tally
from server.database import Database
from server.errors import DatabaseError, FreshetError, RateLimited, SpotifyError
from server.spotify import sources
from server.spotify.client import SpotifyClient
from server.spotify.parse import parse_items

Progress = Callable[[int, int | None], None]

log = structlog.get_logger()


@dataclass(frozen=True)
class Report:
    """What one sync did; `outcome` is complete, partial or failed, counts are of albums."""

    outcome: str
    source: str | None
    calls: int
    duration_ms: int
    seen: int = 0
    added: int = 0
    updated: int = 0
    gone: int = 0
    skipped: int = 0
    error: str | None = None


class Syncer:
    """Walks new releases from Spotify into the local copy, one sync at a time.

    `announce` is awaited after each sync that brought something; `interval` is in seconds, `now`
    the wall clock; `origin` names this process to the others.
    """

    def __init__(
        self,
        client: SpotifyClient,
        database: Database,
        announce: Callable[[], Awaitable[None]],
        *,
        setting: Literal["auto", "new-releases", "search"],
        max_releases: int,
        interval: float,
        now: Callable[[], datetime],
        origin: str = "",
    ) -> None:
        self._client = client
        self._database = database
        self._announce = announce
        self._setting = setting
        self._max_releases = max_releases
        self._now = now
        self._origin = origin
        self.schedule = Schedule(interval, time.monotonic)
        self._one_at_a_time = asyncio.Lock()
        self._running: asyncio.Task[Any] | None = None

    async def tick(self) -> None:
        """What the timer calls every second: a sync if one is due and none runs."""
        if self.schedule.is_due() and not self._one_at_a_time.locked():
            report = await self.sync()
            self.schedule.plan(failed=report.outcome == "failed")

    async def stop(self) -> None:
        """Give up the sync that runs, if any; its transaction is not begun or wholly done."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])

    async def sync(self, progress: Progress | None = None) -> Report:
        """One sync. Never raises but when cancelled: it ends in a Report and one event.

        `progress` is called with the items seen and the total that Spotify claims.
        """
        async with self._one_at_a_time:
            self._running = asyncio.current_task()
            try:
                return await self._cycle(progress)
            finally:
                self._running = None

    async def _cycle(self, progress: Progress | None) -> Report:
        started, started_at, calls = time.monotonic(), self._now(), self._client.calls
        try:
            sweep = await self._fetch(progress)
            tally = await self._database.run(
                store.record_sweep, sweep, started_at, self._now, self._origin
            )
            report = self._report(sweep, tally, started)
        except asyncio.CancelledError:
            made = self._client.calls - calls
            log.info("sync_cancelled", calls=made, duration_ms=_milliseconds(started))
            raise
        except Exception as error:
            report = await self._failed(error, started, started_at, calls)
        if report.outcome != "failed":
            await self._announced()
        _log(report)
        return report

    async def _fetch(self, progress: Progress | None) -> Sweep:
        """All pages of the chosen source; a page that fails after the first makes it partial."""
        calls = self._client.calls
        verdicts = await self._database.run(runs.load_verdicts)
        choice = await sources.choose(self._client, self._setting, verdicts, self._now())
        await self._database.run(runs.keep_verdicts, choice.verdicts)
        items: list[Any] = []
        error = None
        try:
            async for page in sources.pages(self._client, choice, self._max_releases):
                items += page.items
                if progress:
                    progress(len(items), page.total)
        except SpotifyError as failure:
            self._heed(failure)
            error = _reason(failure)
        parsed = parse_items(items[: self._max_releases])
        return Sweep(
            source=choice.source,
            releases=parsed.releases,
            complete=error is None,
            calls=self._client.calls - calls,
            skipped=parsed.skipped,
            unreadable=parsed.nameless,
            present=parsed.skipped_ids,
            error=error,
        )

    async def _failed(
        self, error: Exception, started: float, started_at: datetime, calls: int
    ) -> Report:
        """A sync that brought nothing: what is served stays."""
        if not isinstance(error, FreshetError):
            log.exception("sync_crashed")
        self._heed(error)
        made = self._client.calls - calls
        with suppress(DatabaseError):  # the event says it all the same
            await self._database.run(
                runs.record_failure, made, _reason(error), started_at, self._now()
            )
        return Report("failed", None, made, _milliseconds(started), error=_reason(error))

    def _heed(self, error: Exception) -> None:
        """Keep away for as long as a 429 asks; asking on would prolong it."""
        if isinstance(error, RateLimited):
            self.schedule.pause(error.seconds)
            until = self._now() + timedelta(seconds=error.seconds)
            log.warning("rate_limited", bucket=error.bucket, until=until, reason=str(error))

    async def _announced(self) -> None:
        try:
            await self._announce()
        except DatabaseError as error:
            log.warning("refresh_failed", reason=str(error))

    def _report(self, sweep: Sweep, tally: Tally, started: float) -> Report:
        return Report(
            outcome=sweep.outcome,
            source=sweep.source,
            calls=sweep.calls,
            duration_ms=_milliseconds(started),
            seen=len(sweep.releases),
            added=tally.added,
            updated=tally.updated,
            gone=tally.gone,
            skipped=sweep.skipped,
            error=sweep.error,
        )


def _log(report: Report) -> None:
    if report.outcome == "failed":
        log.error("sync_failed", **asdict(report))
    elif report.outcome == "partial":
        log.warning("sync_finished", **asdict(report))
    else:
        log.info("sync_finished", **asdict(report))


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _milliseconds(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
