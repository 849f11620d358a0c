"""Artists' details, fetched between syncs: one call at a time, never in the way of one."""

from collections import deque
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from itertools import islice, takewhile

import structlog

from server.database.executor import Database
from server.errors import DatabaseError, EndpointRestricted, Paused, SpotifyError
from server.spotify.api.artists import MOST_IDS, ArtistLookup
from server.spotify.types import Verdict
from server.storage import artists, sync_runs
from server.tasks import attempt

ROUND = 500  # artists looked up in the database at once
TELL_EVERY = 50  # artists changed, after which caches hear of it
PATIENCE = 3  # failures in a row that end a round, refusals that end a day
SOURCE = "artists"  # the name under which its verdict is kept beside those of sources
REFUSED_FOR = timedelta(days=1)
RETRY = timedelta(seconds=10)  # after a first pause at least; twice as long after each further one
LONGEST = timedelta(hours=48)

log = structlog.get_logger()


class ArtistDetails:
    """Works through the artists that lack details after each `wake`, a call a `tick`.

    `busy` says whether a sync runs; `announce` is awaited when answers have changed. Artists that
    fail come last in the next round, in smaller groups, those that are refused not before a day.
    """

    def __init__(
        self,
        lookup: ArtistLookup,
        database: Database,
        announce: Callable[[], Awaitable[None]],
        busy: Callable[[], bool],
        now: Callable[[], datetime],
        origin: str = "",
    ) -> None:
        self._lookup = lookup
        self._database = database
        self._announce = announce
        self._busy = busy
        self._now = now
        self._origin = origin
        self._queue: deque[str] = deque()
        self._awake = self._ticking = False
        self._kept: Verdict | None = None
        self._failed: dict[str, int] = {}  # and the size of the group to ask for them in
        self._resume_at: datetime | None = None
        self._refused: dict[str, datetime] = {}
        self._failures = self._refusals = self._changed = self._pauses = 0

    def wake(self) -> None:
        """A sync has ended: artists may have come."""
        self._awake = True

    async def tick(self) -> None:
        """What the timer calls: one call to Spotify, if anything is wanted and no sync runs."""
        if self._ticking or self._is_waiting() or self._busy() or not (self._queue or self._awake):
            return
        self._ticking = True
        try:
            await self._step()
        except DatabaseError as error:
            log.warning("details_failed", reason=str(error))
            self._end_round()
        finally:
            self._ticking = False

    def _is_waiting(self) -> bool:
        """Whether a pause goes on; none is longer than what a clock put back would make of it."""
        if self._resume_at is None:
            return False
        return timedelta(0) < self._resume_at - self._now() <= LONGEST

    async def _step(self) -> None:
        if not self._queue:
            await self._begin_round()
        if self._queue:
            await self._ask(self._next())
        if self._changed and (self._changed >= TELL_EVERY or not self._queue):
            self._changed = 0
            await self._database.run(artists.announce, self._origin)
            await attempt(self._announce)

    async def _begin_round(self) -> None:
        self._awake, self._failures = False, 0
        if self._lookup.verdict is None:
            self._kept = await self._database.run(sync_runs.load_verdict, SOURCE)
            self._lookup.verdict = self._kept
        wanted = await self._database.run(artists.wanted, self._now(), ROUND)
        self._failed = {each: self._failed[each] for each in wanted if each in self._failed}
        self._refused = {each: at for each, at in self._refused.items() if self._is_recent(at)}
        willing = [each for each in wanted if each not in self._refused]
        willing.sort(key=self._group_of, reverse=True)  # those that failed come last
        self._queue.extend(willing)

    def _next(self) -> list[str]:
        """The head of the queue, as many as one call may ask for, and no more than is safe.

        A group that failed is asked for in halves, round by round, so that one artist who makes
        the answer unreadable keeps no other from having details.
        """
        size = min(self._lookup.most, self._group_of(self._queue[0]))
        head = islice(self._queue, size)
        return list(takewhile(lambda artist: self._group_of(artist) >= size, head))

    def _group_of(self, artist: str) -> int:
        """With how many others an artist may be asked for."""
        return self._failed.get(artist, MOST_IDS)

    async def _ask(self, asked: list[str]) -> None:
        """Look up the head of the queue and store what came; what fails comes again next round."""
        try:
            found = await self._lookup.ask(asked)
        except Paused as error:
            self._pauses += 1  # one that is short and comes again and again gets longer
            patience = RETRY * 2 ** min(self._pauses - 1, 12)
            self._wait(min(max(timedelta(seconds=error.seconds), patience), LONGEST))
            return
        except EndpointRestricted as error:
            self._leave_out(asked, error)
            return
        except DatabaseError:
            raise
        except Exception as error:
            if not isinstance(error, SpotifyError):  # the same ones would raise it every 3 s
                log.exception("task_crashed", task="ArtistDetails.tick", artists=asked)
            self._pass_over(asked, error)
            return
        if found is None:
            return  # many at once were refused: the same ones again, one by one
        for _ in asked:
            self._queue.popleft()
        self._failures = self._refusals = self._pauses = 0
        self._changed += await self._database.run(artists.record_details, asked, found, self._now())
        verdict = self._lookup.verdict
        if verdict is not None and verdict is not self._kept:
            await self._database.run(sync_runs.record_verdict, SOURCE, verdict)
            self._kept = verdict

    def _is_recent(self, refusal: datetime) -> bool:
        return timedelta(0) <= self._now() - refusal < REFUSED_FOR

    def _leave_out(self, asked: list[str], error: EndpointRestricted) -> None:
        """One artist is refused, and left alone for a day; after several in a row all are."""
        for artist in asked:
            self._refused[self._queue.popleft()] = self._now()
            log.info("artist_refused", artist=artist, reason=str(error))
        self._refusals += 1
        if self._refusals >= PATIENCE:
            log.warning("details_refused", reason=str(error))
            self._wait(REFUSED_FOR)

    def _pass_over(self, asked: list[str], error: Exception) -> None:
        for _ in asked:
            self._failed[self._queue.popleft()] = max(len(asked) // 2, 1)
        self._failures += 1
        if self._failures >= PATIENCE:
            log.warning("details_failed", reason=str(error))
            self._end_round()

    def _wait(self, pause: timedelta) -> None:
        """Go on where it stopped when a pause is over."""
        self._end_round()
        self._awake = True
        self._resume_at = self._now() + pause

    def _end_round(self) -> None:
        self._queue.clear()
        self._failures = self._refusals = 0
