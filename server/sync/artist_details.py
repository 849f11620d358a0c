"""Artists' details, fetched between syncs: one call at a time, and none while a sync runs."""

from collections import deque
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from itertools import islice, takewhile

import structlog

from server.database.executor import Database
from server.errors import DatabaseError, EndpointRestricted, Paused, SpotifyError
from server.spotify.api.artists import MAX_IDS, ArtistLookup
from server.spotify.types import Verdict
from server.spotify.waiting import Pause, has_passed
from server.storage import artists, sync_runs
from server.tasks import attempt

ROUND = 500  # artists read from the database at once
ANNOUNCE_EVERY = 50  # changed artists, after which snapshots are read again
PATIENCE = 3  # failures in a row that end a round, refusals in a row that pause for a day
SOURCE = "artists"  # the name of its verdict in the table `sources`
REFUSED_FOR = timedelta(days=1)
RETRY = timedelta(seconds=10)  # the shortest first pause; doubled after each further one

log = structlog.get_logger()


class ArtistDetailsFetcher:
    """Fetches the details that artists lack: a round after each `wake`, one call per `tick`.

    `busy` says whether a sync runs; `announce` is awaited when stored artists have changed. Artists
    whose call failed come last in the next round, in smaller groups; artists that Spotify refuses
    are left out for a day. `origin` names this process to the others.
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
        self._stored: Verdict | None = None
        self._failed: dict[str, int] = {}  # artist → size of the group to request it in
        self._pause = Pause(now)
        self._refused: dict[str, datetime] = {}
        self._failures = self._refusals = self._changed = self._pauses = 0

    def wake(self) -> None:
        """Start a round at the next tick: a sync may have added artists."""
        self._awake = True

    async def tick(self) -> None:
        """Make one call to Spotify, unless nothing is due, a pause lasts or a sync runs."""
        if self._ticking or self._pause.lasts or self._busy() or not (self._queue or self._awake):
            return
        self._ticking = True
        try:
            await self._step()
        except DatabaseError as error:
            log.warning("details_failed", reason=str(error))
            self._end_round()
        finally:
            self._ticking = False

    async def _step(self) -> None:
        if not self._queue:
            await self._start_round()
        if self._queue:
            await self._request(self._next_group())
        if self._changed and (self._changed >= ANNOUNCE_EVERY or not self._queue):
            self._changed = 0
            await self._database.run(artists.announce, self._origin)
            await attempt(self._announce)

    async def _start_round(self) -> None:
        self._awake, self._failures = False, 0
        if self._lookup.verdict is None:
            self._stored = await self._database.run(
                sync_runs.load_verdict, self._lookup.client_id, SOURCE
            )
            self._lookup.verdict = self._stored
        due = await self._database.run(artists.due, self._now(), ROUND)
        self._failed = {each: self._failed[each] for each in due if each in self._failed}
        self._refused = {each: at for each, at in self._refused.items() if self._is_recent(at)}
        queued = [each for each in due if each not in self._refused]
        queued.sort(key=self._group_size, reverse=True)  # those that failed come last
        self._queue.extend(queued)

    def _next_group(self) -> list[str]:
        """Return the artists at the head of the queue that the next call asks for.

        A group that failed is halved round by round, so that one artist whose details make the
        answer unreadable does not keep the others from having details.
        """
        size = min(self._lookup.max_ids, self._group_size(self._queue[0]))
        head = islice(self._queue, size)
        return list(takewhile(lambda artist: self._group_size(artist) >= size, head))

    def _group_size(self, artist: str) -> int:
        """Return the size of the largest group that an artist may be requested in."""
        return self._failed.get(artist, MAX_IDS)

    async def _request(self, group: list[str]) -> None:
        """Look up the head of the queue and store the details; a failure is for the next round."""
        try:
            found = await self._lookup.fetch(group)
        except Paused as error:
            self._pauses += 1  # a short pause that recurs gets longer
            patience = RETRY * 2 ** min(self._pauses - 1, 12)
            self._wait(max(timedelta(seconds=error.seconds), patience))
            return
        except EndpointRestricted as error:
            self._leave_out(group, error)
            return
        except DatabaseError:
            raise
        except Exception as error:
            if not isinstance(error, SpotifyError):  # or the same group would raise it every 3 s
                log.exception("task_crashed", task="ArtistDetailsFetcher.tick", artists=group)
            self._pass_over(group, error)
            return
        if found is None:
            return  # a group was refused: the same artists follow one by one
        for _ in group:
            self._queue.popleft()
        self._failures = self._refusals = self._pauses = 0
        self._changed += await self._database.run(artists.record_details, group, found, self._now())
        verdict = self._lookup.verdict
        if verdict is not None and verdict is not self._stored:
            await self._database.run(
                sync_runs.record_verdict, self._lookup.client_id, SOURCE, verdict
            )
            self._stored = verdict

    def _is_recent(self, refusal: datetime) -> bool:
        return not has_passed(refusal, REFUSED_FOR, self._now())

    def _leave_out(self, group: list[str], error: EndpointRestricted) -> None:
        """Leave refused artists out for a day; after PATIENCE refusals in a row, all artists."""
        for artist in group:
            self._refused[self._queue.popleft()] = self._now()
            log.info("artist_refused", artist=artist, reason=str(error))
        self._refusals += 1
        if self._refusals >= PATIENCE:
            log.warning("details_refused", reason=str(error))
            self._wait(REFUSED_FOR)

    def _pass_over(self, group: list[str], error: Exception) -> None:
        """Put a group that failed off to the next round, where it is requested in halves."""
        for _ in group:
            self._failed[self._queue.popleft()] = max(len(group) // 2, 1)
        self._failures += 1
        if self._failures >= PATIENCE:
            log.warning("details_failed", reason=str(error))
            self._end_round()

    def _wait(self, pause: timedelta) -> None:
        """Pause, then continue with a new round."""
        self._end_round()
        self._awake = True
        self._pause.start(pause)

    def _end_round(self) -> None:
        self._queue.clear()
        self._failures = self._refusals = 0
