"""The cycle of a sync: fetch, parse, store, announce, and exactly one log event at its end."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from server.database.advisory_lock import SessionLock
from server.database.executor import Database
from server.errors import DatabaseError, FreshetError, Paused
from server.request_errors import SyncRefused, SyncRunning
from server.spotify.api.sweeper import Progress, Sweeper, SweepRun, reason_of
from server.spotify.types import SOURCE_ORDER, Purpose, SourceName, SourceSetting, Verdict, Verdicts
from server.storage import sweeps, sync_runs
from server.storage.sync_runs import SyncHistory
from server.sync import sync_lock
from server.sync.pacing import Outlook, Pacing
from server.sync.report import (
    Report,
    StuckFeed,
    log_markets,
    log_report,
    log_source,
    log_start,
    stopwatch,
)
from server.sync.schedule import BUSY_SECONDS, Schedule
from server.sync.sync_lock import SyncLock
from server.tasks import attempt

CANCEL_SECONDS = 2.0  # that a cancelled sync may take to store what it has learnt

log = structlog.get_logger()


class Syncer:
    """Copies new releases from Spotify to the database, one sync at a time among all processes.

    `sweepers` differ in how much of the quota they may use. `announce` is awaited after each sync
    that stored a sweep, `report_to` is called after every one that is not cancelled. `now` is the
    wall clock; `origin` names this process to the others.
    """

    def __init__(
        self,
        sweepers: Mapping[Purpose, Sweeper],
        database: Database,
        announce: Callable[[], Awaitable[None]],
        *,
        pacing: Pacing,
        schedule: Schedule,
        setting: SourceSetting,
        now: Callable[[], datetime],
        origin: str = "",
        report_to: Callable[[Report], None] = log_report,
    ) -> None:
        self._report_to = report_to
        self._sweepers = sweepers
        self._client_id = sweepers["background"].client.client_id
        self._database = database
        self._announce = announce
        self._pacing = pacing
        self.schedule = schedule
        self._setting = setting
        self._now = now
        self._origin = origin
        self._stuck = StuckFeed()
        self._one_at_a_time = SyncLock()
        self._ticking = False
        self._last_sweep: tuple[SourceName, int] | None = None

    @property
    def is_running(self) -> bool:
        """Whether a sync of this process is under way."""
        return self._one_at_a_time.is_running

    @property
    def running_since(self) -> datetime | None:
        """When the running sync started; None if none runs, or if it waits for the lock."""
        return self._one_at_a_time.since

    def seconds_left(self) -> int:
        """Return the whole seconds until the next sync is due, 0 if it is overdue."""
        return max(math.ceil(self.schedule.seconds_left()), 0)

    def next_at(self) -> datetime | None:
        """Return when the next sync is due; None if scheduled syncs are off."""
        if not self.schedule.interval:
            return None
        return self._now() + timedelta(seconds=self.seconds_left())

    def calls_of_a_sweep(self, source: str | None, markets: Mapping[str, Verdict]) -> int:
        """Return how many calls a sweep takes: those of the last one, or the most it may need.

        0 for an unknown source. `markets` holds the verdicts on markets.
        """
        pages = self._last_sweep[1] if self._last_sweep and self._last_sweep[0] == source else 0
        if pages or source not in SOURCE_ORDER:
            return pages
        return self._pacing.max_calls(source, markets)

    async def resume(self) -> None:
        """Continue the schedule of the previous leader, so that a restart causes no extra sync."""
        await self.follow(await self._database.run(sync_runs.load_history, self._client_id))
        log.info("sync_planned", at=self.next_at(), seconds=self.seconds_left())

    async def follow(self, history: SyncHistory) -> None:
        """Adapt the schedule to the last sync of another process. Raises DatabaseError."""
        outlook = await self._outlook(history.source)
        self.schedule.stretch(outlook.spacing)
        if history.finished_at is not None:
            age = (self._now() - history.finished_at).total_seconds()
            failed = history.outcome != "complete"
            self.schedule.resume(age, failed=failed, room_in=outlook.room_in)

    async def tick(self) -> None:
        """Run a sync if one is due and none runs; a timer calls this every second."""
        if self._ticking or self.is_running or not self.schedule.is_due():
            return
        self._ticking = True
        try:
            await self._plan(await self.sync())
        except SyncRefused:  # the result of the other sync sets the time of the next one
            self.schedule.pause(BUSY_SECONDS)
        except BaseException:  # or it would be tried again every second
            await self._plan(None)
            raise
        finally:
            self._ticking = False

    async def start(self) -> dict[str, str]:
        """Start a sync in the background for a person, who may use all of the quota.

        Returns the headers that say how many more may be started. Raises SyncRunning or
        ServerOutdated, SyncPaused if Spotify may not be called now, or a DatabaseError.
        """
        if self.is_running:
            raise SyncRunning
        history = await self._database.run(sync_runs.load_history, self._client_id)
        source, calls = self._usual(history.source)
        cost = self.calls_of_a_sweep(source, history.markets)
        sweeper = self._sweepers["interactive"]
        await sweeper.check(source, max(calls, 1), cost)
        if self.is_running:  # another has started meanwhile
            raise SyncRunning
        lock = await sync_lock.take(self._database, self._origin)
        self._one_at_a_time.spawn(self._sync_once(lock))
        return sweeper.quota_headers(source, cost)

    async def _sync_once(self, lock: SessionLock) -> None:
        """Run a sync; the next one is planned again only if this one is complete."""
        report = await self.sync(purpose="interactive", lock=lock)
        if report.outcome == "complete" and self.schedule.interval:
            await self._plan(report)

    async def _plan(self, report: Report | None) -> None:
        """Set the time of the next sync; `report` is None if the last crashed or was cancelled."""
        outlook = Outlook(0, 0)
        with suppress(DatabaseError):
            outlook = await self._outlook(report.source if report else None)
        failed = report is None or report.outcome != "complete"
        self.schedule.plan(failed=failed, spacing=outlook.spacing, room_in=outlook.room_in)

    async def stop(self) -> None:
        """Cancel the running sync, if any; its transaction takes place as a whole or not at all."""
        await self._one_at_a_time.stop()

    async def sync(
        self,
        progress: Progress | None = None,
        purpose: Purpose = "background",
        lock: SessionLock | None = None,
    ) -> Report:
        """Run one sync, which ends in a Report and one log event, unless it is cancelled.

        `progress` is called with the number of items seen and the total that Spotify claims. `lock`
        is the sync lock if the caller has taken it. Raises SyncRunning if another process syncs,
        ServerOutdated if the schema belongs to another version; anything else that goes wrong is
        in the report.
        """
        async with self._one_at_a_time.exclusive():
            return await self._cycle(purpose, progress, lock)

    async def _cycle(
        self, purpose: Purpose, progress: Progress | None, lock: SessionLock | None
    ) -> Report:
        """Fetch and parse, store, announce, report."""
        elapsed, started_at, history = stopwatch(), self._now(), SyncHistory({})
        sweeping = self._sweepers[purpose].start(started_at)
        try:
            async with (lock or await sync_lock.take(self._database, self._origin)).held():
                self._one_at_a_time.since = started_at
                log_start(self._setting, purpose)
                history = await self._database.run(sync_runs.load_history, self._client_id)
                failures = max(self.schedule.failures, history.failures)
                sweep = await sweeping.sweep(history.verdicts, history.markets, failures, progress)
                tally = await self._database.run(
                    sweeps.record_sweep, sweep, started_at, self._now, self._origin
                )
        except SyncRefused:
            raise
        except asyncio.CancelledError:
            log.info("sync_cancelled", calls=sweeping.calls, duration_ms=elapsed())
            await self._keep_sources(sweeping.verdicts)
            raise
        except Exception as error:
            reason = await self._record_failure(error, sweeping, started_at)
            paused = isinstance(error, Paused)
            report = Report("failed", None, sweeping.calls, elapsed(), error=reason, paused=paused)
        else:
            report = Report.of(sweep, tally, elapsed())
            self._last_sweep = (sweep.source, sweep.pages) if sweep.complete else self._last_sweep
            self._stuck.observe(tally.new_at, self._now(), complete=sweep.complete)
            log_source(sweep, history.source)
            await attempt(self._announce)  # the sweep is stored in any case
        log_markets(sweeping.verdicts.markets, history.markets)
        self._report_to(report)
        return report

    async def _record_failure(
        self, error: Exception, sweeping: SweepRun, started_at: datetime
    ) -> str:
        """Record a sync that stored no sweep, with its verdicts; return the reason."""
        if not isinstance(error, FreshetError):
            log.exception("sync_crashed")
        if isinstance(error, Paused):
            self.schedule.pause(error.seconds)
        reason = reason_of(error)
        with suppress(DatabaseError):  # the report has the reason, too
            await self._database.run(
                sync_runs.record_failure,
                sweeping.verdicts,
                sweeping.calls,
                reason,
                started_at,
                self._now(),
            )
        return reason

    async def _keep_sources(self, verdicts: Verdicts) -> None:
        """Store what a cancelled sync has learnt of the sources, to spare the next one probes.

        Gives up after CANCEL_SECONDS, because the process may be about to end.
        """
        if verdicts.sources:
            with suppress(DatabaseError, TimeoutError):
                async with asyncio.timeout(CANCEL_SECONDS):
                    await self._database.run(
                        sync_runs.record_verdicts, replace(verdicts, markets={})
                    )

    async def _outlook(self, source: SourceName | None) -> Outlook:
        """Return what the quota allows for sweeps like the last one."""
        return await self._pacing.outlook(*self._usual(source))

    def _usual(self, source: SourceName | None) -> tuple[SourceName, int]:
        """Return the source in use, and the calls of its last sweep here; 0 if there was none."""
        if self._setting != "auto":
            source = self._setting
        swept, pages = self._last_sweep or (source or "search", 0)
        source = source or swept
        return source, pages if source == swept else 0
