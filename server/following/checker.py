"""Checks wanted artists for new releases, one at a time, by the lists of their albums.

The leading process makes at most one check per tick and none while a sync runs. Which artist comes
next is decided in `rotation.py`; what a check finds is stored by `storage/artist_checks.py`.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from server.database.executor import Database
from server.errors import (
    BadAnswer,
    DatabaseError,
    EndpointRestricted,
    Paused,
    SpotifyError,
    SpotifyUnavailable,
)
from server.following import rotation
from server.following.plans import Plans
from server.spotify.api.artist_albums import ArtistAlbums, Found
from server.spotify.object_parser import ParsedRelease
from server.spotify.waiting import Pause, has_passed
from server.storage import artist_checks, artists
from server.storage.artist_checks import Check, CheckTally, Plan, Scheduled
from server.tasks import attempt

CLOSE_AFTER = timedelta(hours=1)  # between two looks for listings that have ended
ANNOUNCE_AFTER = timedelta(minutes=1)  # as each announcement makes all processes read their data
ETAGS_FOR = timedelta(days=14)  # shorter than any RETENTION_DAYS, or 304 would leave releases out
PATIENCE = 3  # failures or refusals in a row, after which all artists wait
RETRY = timedelta(minutes=10)  # after PATIENCE failures in a row, doubled after each further one
MAX_RETRY = timedelta(hours=6)
REFUSED_FOR = timedelta(days=1)

log = structlog.get_logger()


Count = Callable[[str, str], None]


def outcome_of(check: Check, tally: CheckTally) -> str:
    """Return how a check ended: failed, changed or unchanged."""
    if check.error is not None:
        return "failed"
    return "changed" if tally.changed else "unchanged"


class ArtistChecker:
    """Checks all wanted artists by the `plans`, as often as the calls of a day allow.

    `busy` says whether a sync runs, `calls_a_day` how many calls checks may make in 24 hours.
    `announce` is awaited when stored releases have changed; `origin` names this process to the
    others. `count` is called with the way and the outcome of each check.
    """

    def __init__(
        self,
        albums: ArtistAlbums,
        plans: Plans,
        database: Database,
        announce: Callable[[], Awaitable[None]],
        busy: Callable[[], bool],
        calls_a_day: Callable[[], int],
        now: Callable[[], datetime],
        origin: str = "",
        count: Count = lambda way, outcome: None,
    ) -> None:
        self._albums = albums
        self._plans = plans
        self._database = database
        self._announce = announce
        self._busy = busy
        self._calls_a_day = calls_a_day
        self._now = now
        self._origin = origin
        self._count = count
        self._ticking = self._changed = False
        self._failures = self._refusals = 0
        self._closed_at: datetime | None = None
        self._announced_at: datetime | None = None
        self._pause = Pause(now)

    def wake(self) -> None:
        """Look for listings that have ended, because an owner's artists have changed."""
        self._closed_at = None

    def note(self, tally: CheckTally) -> None:
        """Take note of what a check has changed, which is to be announced."""
        self._changed = self._changed or tally.changed

    async def tick(self) -> None:
        """Check one artist, unless none is due, a pause lasts or a sync runs."""
        if self._ticking or self._busy():
            return
        self._ticking = True
        try:
            await self._step()
        except DatabaseError as error:
            log.warning("artist_checks_failed", reason=str(error))
            self._plans.wake()  # no call is made before the database answers again
        finally:
            self._ticking = False

    async def _step(self) -> None:
        await self._plans.refresh()
        if self._is_over(self._closed_at, CLOSE_AFTER):
            await self._close_listings()
        if self._changed and self._is_over(self._announced_at, ANNOUNCE_AFTER):
            await self._tell()
        if self._pause.lasts:
            return
        schedule = self._next()
        if schedule is not None:
            await self._check(schedule)

    def _next(self) -> Scheduled | None:
        """Return the artist whose turn it is, if it is time for a check."""
        plans, calls_a_day, now = self._plans, self._calls_a_day(), self._now()
        if not (plans.first_ones or self._is_over(plans.last_check, rotation.spacing(calls_a_day))):
            return None
        return rotation.next_artist(plans.schedules.values(), plans.last_check, calls_a_day, now)

    async def _tell(self) -> None:
        """Announce changes to all processes; they stay to be announced if the database is away."""
        before = self._announced_at
        self._changed, self._announced_at = False, self._now()
        try:
            await self._database.run(artists.announce, self._origin)
        except DatabaseError:
            self._changed, self._announced_at = True, before
            raise
        await attempt(self._announce)

    def _is_over(self, since: datetime | None, period: timedelta) -> bool:
        return has_passed(since, period, self._now())

    async def _close_listings(self) -> None:
        """Close the listings that have ended; a call of `wake` meanwhile leads to another look."""
        now = self._closed_at = self._now()
        try:
            wanted = list(self._plans.names)
            closed = await self._database.run(artist_checks.close_listings, wanted, now)
        except DatabaseError:
            self._closed_at = None
            raise
        self._changed = self._changed or closed > 0

    async def _check(self, schedule: Scheduled) -> None:
        """Look up one artist; a failure is stored, and concerns no other one.

        Otherwise the artist would be asked for again at every tick.
        """
        first = schedule.checked_at is None

        async def goes_on(page: Sequence[ParsedRelease]) -> bool:
            return await self._goes_on(page, first=first)

        try:
            found = await self._albums.fetch(schedule.artist, self._etags_of(schedule), goes_on)
            if found.failure is None:
                self._failures = self._refusals = 0
                await self._record(schedule, found)
            else:
                await self._record_in_part(schedule, found, found.failure)
        except DatabaseError:
            raise
        except Exception as error:
            log.exception("task_crashed", task="ArtistChecker.tick", artists=[schedule.artist])
            await self._record_failure(schedule, error, rotation.after_failure)

    async def _goes_on(self, page: Sequence[ParsedRelease], *, first: bool) -> bool:
        """Return whether there may be releases after this page that count as new.

        Pages are newest first, so that the next one may have some if all of this one are recent.
        Later than in the first check, a page without any known release may follow a long gap.
        """
        now = self._now()
        recent = all(artist_checks.is_new(each, now, first=first) for each in page)
        if first:
            return recent
        albums = {each.spotify_id for each in page}
        stored = await self._database.run(artist_checks.count_stored, albums)
        return stored < len(albums) if recent else stored == 0

    async def _record_in_part(self, schedule: Scheduled, found: Found, error: SpotifyError) -> None:
        """Store what a check has found that failed; let all wait if the failure concerns all."""
        if isinstance(error, EndpointRestricted):
            self._refusals += not error.missing
            await self._record_failure(schedule, error, rotation.after_refusal, found)
            if self._refusals >= PATIENCE:
                log.warning("artist_checks_refused", reason=str(error))
                self._pause.start(REFUSED_FOR)
            return
        of_the_artist = isinstance(error, SpotifyUnavailable | BadAnswer)
        # Without an answer, a pause is of no artist; with one, calls would be made in vain again.
        if of_the_artist or found.statuses:
            await self._record_failure(schedule, error, rotation.after_failure, found)
        if isinstance(error, Paused):
            self._pause.start(timedelta(seconds=error.seconds))
        else:  # others, such as refused credentials, concern all alike
            self._count_failure(error, PATIENCE if of_the_artist else 1)

    def _etags_of(self, schedule: Scheduled) -> Mapping[str, str]:
        """Return the ETags to send: none where retention may have deleted what they stand for."""
        at = schedule.checked_at
        return {} if at is None or self._is_over(at, ETAGS_FOR) else schedule.etags

    async def _record(self, schedule: Scheduled, found: Found) -> None:
        tally = await self._store(_check_of(schedule, found), schedule, rotation.after_check)
        log.info(
            "artist_checked",
            artist=schedule.artist,
            way="albums",
            statuses=found.statuses,
            token_age=self._albums.token_age,
            seen=len(found.releases),
            skipped=found.skipped,
            added=tally.added,
        )

    async def _record_failure(
        self, schedule: Scheduled, error: Exception, plan: Plan, found: Found | None = None
    ) -> None:
        """Store a failed check, with what it has `found` of one of the lists."""
        told = str(error) if isinstance(error, SpotifyError) else ""  # owners read it
        reason, found = told or type(error).__name__, found or Found()
        tally = await self._store(_check_of(schedule, found, reason), schedule, plan)
        log.info(
            "artist_check_failed",
            artist=schedule.artist,
            reason=reason,
            statuses=found.statuses,
            seen=len(found.releases),
            added=tally.added,
        )

    async def _store(self, check: Check, before: Scheduled, plan: Plan) -> CheckTally:
        """Store a check, and remember when its artist is checked next.

        A database that takes no writes makes all wait, as each check would be made in vain.
        """
        try:
            tally, after = await self._database.run(
                artist_checks.record_check, check, before, self._now, plan
            )
        except DatabaseError:
            self._pause.start(RETRY)
            raise
        self._count(check.way, outcome_of(check, tally))
        self._plans.take(after)
        self.note(tally)
        return tally

    def _count_failure(self, error: SpotifyError, patience: int) -> None:
        """Let all artists wait after `patience` failures in a row, ever longer."""
        self._failures += 1
        if self._failures >= patience:
            log.warning("artist_checks_failed", reason=str(error))
            self._pause.start(min(RETRY * 2 ** min(self._failures - patience, 16), MAX_RETRY))


def _check_of(schedule: Scheduled, found: Found, error: str | None = None) -> Check:
    return Check(
        schedule.artist,
        "albums",
        list(found.releases.values()),
        len(found.statuses),
        found.statuses.count(304),
        found.etags,
        error,
    )
