"""A month of checks without any call: the rules of quota, ceilings and rotation, and a clock.

What stores, fetches and parses is left out, so that a month of 500 artists takes seconds. Spotify
is the stand-in's own count of calls, with ceilings that the rules do not know.
"""

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from server.following import rotation
from server.spotify.limits import budget, ceiling, quota
from server.spotify.limits.ceiling import Ceiling
from server.spotify.limits.quota import hour_of, room_at, used
from server.standin import AppKind
from server.standin.faults.quotas import PauseModel, Quotas
from server.storage.artist_checks import CheckTally, Scheduled
from tests.system.faults.fans import Figures, Release, most_in_a_day

ALBUMS, SEARCH, LISTING = "/artists/{id}/albums", "/search", "/browse/new-releases"
HIDDEN = {ALBUMS: 100, SEARCH: 450, LISTING: 450}
PATHS = {ALBUMS: "/v1/artists/x/albums", SEARCH: "/v1/search", LISTING: "/v1/browse/new-releases"}
MOST = 500  # QUOTA_PER_DAY
FAULTY = 0.02  # of all calls
INTERVAL = timedelta(minutes=30)
A_WHILE = timedelta(minutes=1)


class Refused(Exception):
    """A call that may not be made or that failed; `again` is when the next one makes sense."""

    def __init__(self, again: datetime) -> None:
        super().__init__(again)
        self.again = again


class Clock:
    """The time that the rules and Spotify go by."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def __call__(self) -> datetime:
        return self.moment


@dataclass
class Bucket:
    """What the rules know of one bucket: its calls, its ceiling, its pause."""

    name: str
    clock: Clock
    spotify: Quotas
    die: random.Random
    calls_by_hour: Counter[datetime] = field(default_factory=Counter)
    known: Ceiling | None = None
    paused_until: datetime | None = None
    made: list[datetime] = field(default_factory=list)
    lockouts: int = 0

    @property
    def per_day(self) -> int:
        """The ceiling as it is known now, raised if it is time."""
        if self.known is None:
            self.known = Ceiling(ceiling.starting(self.name, MOST), self.clock())
        self.known = ceiling.raised(self.known, self.clock(), MOST)
        return self.known.per_day

    def room(self, calls: int, most: int) -> None:
        """Raise Refused if `calls` more calls are not possible now."""
        now = self.clock()
        if self.paused_until is not None and now < self.paused_until:
            raise Refused(self.paused_until)
        if used(self.calls_by_hour, now) + calls > most:
            again = room_at(self.calls_by_hour, now, calls, most)
            raise Refused(again or now + timedelta(hours=1))

    def call(self, most: int) -> None:
        """Make a call, and learn from its refusal. Raises Refused."""
        self.room(1, most)
        now = self.clock()
        self.calls_by_hour[hour_of(now)] += 1
        self.made.append(now)
        refusal = self.spotify.admit(PATHS[self.name])
        if refusal is not None:
            wait = int(str(refusal.retry_after))
            self.lockouts += 1
            self.paused_until = now + timedelta(seconds=wait)
            learnt = ceiling.lowered(self.known, self.name, self.calls_by_hour, wait, now, MOST)
            self.known = learnt or self.known
            raise Refused(self.paused_until)
        if self.die.random() < FAULTY:
            raise Refused(now)


class Month:
    """Artists, what they release, and the rules that notice it."""

    def __init__(
        self,
        artists: Sequence[str],
        releases: Sequence[Release],
        start: datetime,
        *,
        kind: AppKind,
        pauses: PauseModel,
        search_works: bool,
        hidden: Mapping[str, int] = HIDDEN,
    ) -> None:
        self.clock = clock = Clock(start)
        spotify = Quotas(hidden, None, clock, pauses)
        die = random.Random(11)
        self.buckets = {name: Bucket(name, clock, spotify, die) for name in PATHS}
        self.spotify, self._search_works = spotify, search_works
        self.schedules = {
            artist: Scheduled(artist, start, start, searched_at=None) for artist in artists
        }
        self.releases = releases
        self._of: dict[str, list[Release]] = {artist: [] for artist in artists}
        for release in releases:
            self._of[release.artist].append(release)
        self._source = LISTING if kind is AppKind.EXTENDED else SEARCH
        self._sync_at = self._check_at = self._search_at = start
        self.checks = 0

    def run(self, days: float) -> None:
        """Let the days go by: each job runs when it is due."""
        end = self.clock() + timedelta(days=days)
        while self.clock() < end:
            if self._sync_at <= self.clock():
                self._sync_at = self._sync()
            if self._check_at <= self.clock():
                self._check_at = self._check()
            if self._search_works and self._search_at <= self.clock():
                self._search_at = self._search()
            jobs = [self._sync_at, self._check_at]
            jobs += [self._search_at] if self._search_works else []
            self.clock.moment = max(min(jobs), self.clock() + timedelta(seconds=1))

    def figures(self, title: str, days: float) -> Figures:
        """Return how it went."""
        buckets = [bucket for bucket in self.buckets.values() if bucket.made]
        return Figures(
            title,
            self.releases,
            {bucket.name: bucket.lockouts for bucket in buckets if bucket.lockouts},
            {bucket.name: most_in_a_day(bucket.made) for bucket in buckets},
            {bucket.name: len(bucket.made) / days for bucket in buckets},
            self.checks,
        )

    def _sync(self) -> datetime:
        """Sweep the list; return when the next sync is due."""
        bucket, now = self.buckets[self._source], self.clock()
        cost = 2 if self._source == LISTING else 10
        shared = self._search_works and self._source == SEARCH
        most = _background(bucket.per_day * 2 // 3 if shared else bucket.per_day)
        try:
            bucket.room(cost, most)
            for _ in range(cost):
                bucket.call(most)
        except Refused as refused:
            return max(refused.again, now + INTERVAL)
        self._notice(release for release in self.releases if release.listed)
        spacing = quota.spacing(bucket.calls_by_hour, now, cost, most)
        return now + max(spacing, INTERVAL)

    def _check(self) -> datetime:
        """Read the lists of the most urgent artist; return when the next check may be made."""
        bucket, now = self.buckets[ALBUMS], self.clock()
        artist = rotation.next_artist(self.schedules.values(), now)
        if artist is None:
            return min(each.next_check_at for each in self.schedules.values())
        most = _background(bucket.per_day)
        try:
            bucket.room(rotation.CALLS, most)
        except Refused as refused:
            return refused.again
        self.checks += 1
        try:
            for _ in range(rotation.CALLS):
                bucket.call(most)
        except Refused as refused:
            failed = replace(artist, error="failed")
            self.schedules[artist.artist] = rotation.after_failure(failed, CheckTally(), now)
            return max(refused.again, now + A_WHILE)
        tally = self._found(artist.artist)
        known = replace(artist, newest_release=self._newest(artist.artist))
        self.schedules[artist.artist] = rotation.after_check(known, tally, now)
        return now + A_WHILE

    def _search(self) -> datetime:
        """Search for what is new of the artist that waits longest; return when the next may be."""
        bucket, now = self.buckets[SEARCH], self.clock()
        artist = min(self.schedules.values(), key=lambda each: each.searched_at or each.added_at)
        last = artist.searched_at or artist.added_at - timedelta(days=1)
        if now - last < timedelta(days=1):
            return last + timedelta(days=1)
        try:
            bucket.room(1, bucket.per_day)
            bucket.call(bucket.per_day)
        except Refused as refused:
            return max(refused.again, now + A_WHILE)
        tally = self._found(artist.artist)
        self.schedules[artist.artist] = rotation.after_search(artist, tally, now)
        # A third of the ceiling, spread over the day.
        return now + quota.COUNTED_FOR / max(bucket.per_day // 3, 1)

    def _found(self, artist: str) -> CheckTally:
        added = self._notice(self._of[artist])
        return CheckTally(added=added, changed=bool(added))

    def _notice(self, releases: Iterable[Release]) -> int:
        now = self.clock()
        new = [each for each in releases if each.noticed_at is None and each.out_at <= now]
        for release in new:
            release.noticed_at = now
        return len(new)

    def _newest(self, artist: str) -> str | None:
        known = [each.out_at for each in self._of[artist] if each.noticed_at is not None]
        return max(known).date().isoformat() if known else self.schedules[artist].newest_release


def _background(per_day: int) -> int:
    return per_day - per_day // budget.RESERVED
