"""Searches for the new releases of wanted artists, if the search of this app can do that.

Whether `tag:new artist:"NAME"` works is undocumented and differs from app to app, so it is probed
once a week with artists that have a release in Spotify's list of new ones. While it works, each
artist is searched for several times a day if the calls suffice; their own lists are read all the
same, by `checker.py`.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog

from server.database.executor import Database
from server.errors import BadAnswer, DatabaseError, EndpointRestricted, Paused, SpotifyError
from server.following import rotation
from server.following.checker import Count, outcome_of
from server.following.plans import Plans
from server.spotify.api.client import SpotifyClient
from server.spotify.limits.quota import COUNTED_FOR
from server.spotify.list_parser import parse_items
from server.spotify.object_parser import ParsedRelease
from server.spotify.types import Verdict
from server.spotify.waiting import Pause, has_passed
from server.storage import artist_checks, listings, sync_runs
from server.storage.artist_checks import Check, CheckTally, Scheduled
from server.storage.listings import Known
from server.storage.sync_runs import ARTIST_SEARCH

PATH = "/search"
LIMIT = 10
MAX_QUERY = 250  # characters, beyond which Spotify answers 400 (observed)
QUERY = 'tag:new artist:"{}"'
PROBE_EVERY = timedelta(days=7)
PROBES = 3  # artists that are tried before the search counts as of no use
NEW_FOR = timedelta(days=30)  # twice as long as tag:new lists an album
SEARCH_AFTER = timedelta(hours=6)  # the least time between two searches for an artist
RETRY = timedelta(minutes=10)

log = structlog.get_logger()


def query_for(name: str) -> str | None:
    """Return the search for an artist's new albums; None if nothing of the name is left.

    Quotes would end the name early, and a long name makes the query too long.
    """
    room = MAX_QUERY - len(QUERY.format(""))
    cleaned = " ".join(name.replace('"', " ").split())
    if len(cleaned) > room:
        cleaned = cleaned[: room + 1].rpartition(" ")[0] or cleaned[:room]
    return QUERY.format(cleaned) if cleaned else None


def works(known: Known, found: Sequence[ParsedRelease], now: datetime) -> bool:
    """Return whether a search found what it should: `known`, and little else.

    Results that are old or of artists of other names mean that a part of the query was ignored.
    """
    since = (now - NEW_FOR).date().isoformat()
    fitting = [
        each
        for each in found
        if (each.release_date or "") >= since
        and any(known.name.casefold() in credit.name.casefold() for credit in each.artists)
    ]
    return 2 * len(fitting) > len(found) and known.album in {each.spotify_id for each in found}


class SearchWay:
    """Searches for the artists of the `plans`: one per tick at most, none while a sync runs.

    `calls_a_day` is how many searches may be made in 24 hours. `on_use` is called with whether the
    search is in use, `on_check` with what each check brought, `count` with its way and outcome.
    """

    def __init__(
        self,
        client: SpotifyClient,
        plans: Plans,
        database: Database,
        busy: Callable[[], bool],
        calls_a_day: Callable[[], int],
        now: Callable[[], datetime],
        on_use: Callable[[bool], None],
        on_check: Callable[[CheckTally], None],
        count: Count = lambda way, outcome: None,
    ) -> None:
        self._client = client
        self._plans = plans
        self._database = database
        self._busy = busy
        self._calls_a_day = calls_a_day
        self._now = now
        self._on_use = on_use
        self._on_check = on_check
        self._count = count
        self._names: dict[str, str] = {}  # of the artists that can be searched for
        self._version = 0  # of the plans
        self._verdict: Verdict | None = None
        self._ticking = False
        self._pause = Pause(now)

    async def tick(self) -> None:
        """Search for one artist, or probe; unless nothing is due, a pause lasts or a sync runs."""
        if self._ticking or self._busy() or self._pause.lasts:
            return
        self._ticking = True
        try:
            await self._step()
        except Paused as error:
            self._pause.start(timedelta(seconds=error.seconds))
        except SpotifyError as error:
            log.warning("artist_search_failed", reason=str(error))
            self._pause.start(RETRY)
        except DatabaseError as error:
            log.warning("artist_search_failed", reason=str(error))
            self._plans.wake()  # no call is made before the database answers again
            self._pause.start(RETRY)  # it may answer, but take no writes
        finally:
            self._ticking = False

    async def _step(self) -> None:
        now = self._now()
        await self._plans.refresh()
        if self._version != self._plans.version:
            await self._load()
        self._on_use(self._in_use)
        if not self._names:
            return
        if self._verdict is None or self._verdict.is_due(now, PROBE_EVERY):
            await self._probe(now)
        elif self._verdict.allowed and (schedule := self._next(now)) is not None:
            await self._search_for(schedule)

    @property
    def _in_use(self) -> bool:
        allowed = self._verdict is not None and self._verdict.allowed
        return allowed and bool(self._names)

    async def _load(self) -> None:
        """Read the verdict, and find out which artists of new plans can be searched for."""
        version, names = self._plans.version, self._plans.names
        self._verdict = await self._database.run(
            sync_runs.load_verdict, self._client.client_id, ARTIST_SEARCH
        )
        self._names = {artist: name for artist, name in names.items() if name and query_for(name)}
        self._version = version

    async def _probe(self, now: datetime) -> None:
        """Try the search with artists of whom it has to find a release; store the verdict."""
        candidates = await self._database.run(listings.newest_listed, now, PROBES)
        if not candidates:
            self._pause.start(RETRY * 6)
            return
        reason: str | None = None
        for known in candidates:
            try:
                found = await self._search(known.name)
            except (EndpointRestricted, BadAnswer) as error:
                reason = str(error)
                continue
            if works(known, found, now):
                reason = None
                break
            reason = "it does not find releases that are listed as new"
        self._verdict = Verdict(reason is None, reason, now)
        await self._database.run(
            sync_runs.record_verdict, self._client.client_id, ARTIST_SEARCH, self._verdict
        )
        log.info("artist_search_probed", allowed=self._verdict.allowed, reason=reason)
        self._on_use(self._in_use)

    async def _search(self, name: str) -> list[ParsedRelease]:
        """Return the albums that the search finds for a name. Raises a SpotifyError."""
        parameters = {"q": query_for(name) or "", "type": "album"}
        answer = await self._client.get(PATH, **parameters, limit=LIMIT)
        albums = answer.get("albums")
        items = albums.get("items") if isinstance(albums, dict) else None
        if not isinstance(items, list):
            raise BadAnswer("an answer without albums")
        return parse_items(items[: 5 * LIMIT]).releases

    def _next(self, now: datetime) -> Scheduled | None:
        """Return the artist that was searched for the longest ago, if it is time for the next."""
        known = self._plans.schedules
        if not self._is_over(self._plans.last_search, COUNTED_FOR / max(self._calls_a_day(), 1)):
            return None
        waiting = [known[artist] for artist in self._names if artist in known]
        due = [each for each in waiting if self._is_over(each.searched_at, SEARCH_AFTER)]
        return min(due, key=_searched, default=None)

    async def _search_for(self, schedule: Scheduled) -> None:
        """Search for one artist, and store the releases that credit it."""
        artist = schedule.artist
        try:
            found = await self._search(self._names[artist])
        except (EndpointRestricted, BadAnswer) as error:  # of this name alone, or the probe says so
            check = Check(artist, "search", calls=1, error=str(error))
        else:
            theirs = [
                each for each in found if artist in {credit.spotify_id for credit in each.artists}
            ]
            check = Check(artist, "search", theirs, 1)
        try:
            tally, after = await self._store(check, schedule)
        except DatabaseError:
            raise
        except Exception as error:  # of this artist alone, or it would be searched for for ever
            log.exception("task_crashed", task="SearchWay.tick", artists=[artist])
            check = Check(artist, "search", calls=1, error=type(error).__name__)
            tally, after = await self._store(check, schedule)
        self._plans.take(after)
        self._on_check(tally)
        self._count("search", outcome_of(check, tally))
        log.info(
            "artist_checked",
            artist=artist,
            way="search",
            seen=len(check.releases),
            added=tally.added,
            error=check.error,
        )

    async def _store(self, check: Check, before: Scheduled) -> tuple[CheckTally, Scheduled]:
        return await self._database.run(
            artist_checks.record_check, check, before, self._now, rotation.after_search
        )

    def _is_over(self, since: datetime | None, period: timedelta) -> bool:
        return has_passed(since, period, self._now())


def _searched(schedule: Scheduled) -> tuple[bool, datetime]:
    """Return what sorts artists that were never searched for first, then the longest ago."""
    return schedule.searched_at is not None, schedule.searched_at or schedule.added_at
