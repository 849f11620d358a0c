"""Builds what looks after wanted artists: their lists, and the two ways of checking them."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from server.app.upstream import Upstream
from server.database.executor import Database
from server.following.checker import ArtistChecker, Count
from server.following.list_reader import FollowedListReader
from server.following.plans import Plans
from server.following.search_way import SearchWay
from server.spotify.api.artist_albums import ArtistAlbums
from server.spotify.limits.quota import ARTIST_ALBUMS, SEARCH
from server.sync.syncer import Syncer

CHECK_TICK = 3.0  # seconds between two looks whether a check is due
SERVE_SECONDS = 1.0  # between two looks whether a list was requested
LISTS_TICK = 1.0  # seconds between two looks whether a list of followed artists is due


class Following:
    """The parts that serve wanted artists, with their periodic jobs and the seconds between them.

    `jobs` are for the leading process, `timers` for each. `count` is called with the way and the
    outcome of each check.
    """

    def __init__(
        self,
        database: Database,
        upstream: Upstream,
        syncer: Syncer,
        announce: Callable[[], Awaitable[None]],
        now: Callable[[], datetime],
        origin: str = "",
        count: Count = lambda way, outcome: None,
    ) -> None:
        self._limiter = upstream.limiter
        self.plans = Plans(database, upstream.allowed, now)
        self.checker = ArtistChecker(
            ArtistAlbums(upstream.client("following")),
            self.plans,
            database,
            announce,
            lambda: syncer.is_running,
            self.calls_a_day,
            now,
            origin,
            count,
        )
        self.search = SearchWay(
            upstream.client("following"),
            self.plans,
            database,
            lambda: syncer.is_running,
            self.searches_a_day,
            now,
            self._use_search,
            self.checker.note,
            count,
        )
        self.lists = FollowedListReader(
            upstream.client("background"),
            upstream.tokens,
            database,
            upstream.scopes,
            upstream.allowed,
            now,  # and no origin, so that this process is notified as well
        )
        self.timers = ((self.lists.serve, SERVE_SECONDS),)
        self.jobs = (
            (self.checker.tick, CHECK_TICK),
            (self.search.tick, CHECK_TICK),
            (self.lists.tick, LISTS_TICK),
        )

    def calls_a_day(self) -> int:
        """Return how many calls checks may make in 24 hours."""
        return self._limiter.limit(ARTIST_ALBUMS, "following")

    def searches_a_day(self) -> int:
        """Return how many searches for artists may be made in 24 hours."""
        return self._limiter.limit(SEARCH, "following")

    def _use_search(self, used: bool) -> None:
        """Let syncs leave a part of the searches of a day, while artists are searched for."""
        self._limiter.searches_artists = used

    async def changed(self) -> None:
        """Follow a change of an owner's artists, whichever process stored it."""
        self.plans.wake()
        self.checker.wake()
        self.lists.wake()
