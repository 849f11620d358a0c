"""A month of checks without any call: the rules of quota, ceilings and rotation, and a clock.

What stores, fetches and parses is left out, so that a month of 500 artists takes seconds. Spotify
is the stand-in's own count of calls, with ceilings that the rules do not know.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from server.following import rotation
from server.following.search_way import SEARCH_AFTER
from server.spotify.limits.budget import BucketUsage, Budget
from server.spotify.limits.ceiling import lowered
from server.spotify.limits.quota import (
    ARTIST_ALBUMS,
    COUNTED_FOR,
    SEARCH,
    CallsByHour,
    hour_of,
    room_at,
    spacing,
)
from server.spotify.types import Purpose
from server.standin import AppKind
from server.standin.faults.quotas import PauseModel, Quotas
from server.storage.artist_checks import CheckTally, Scheduled
from tests.system.faults.fans import Figures, Release, most_in_a_day

LISTING = "/browse/new-releases"
HIDDEN = {ARTIST_ALBUMS: 100, SEARCH: 450, LISTING: 450}
PATHS = {ARTIST_ALBUMS: "/v1/artists/x/albums", SEARCH: "/v1/search", LISTING: f"/v1{LISTING}"}
BUDGET = Budget(500)  # the default of QUOTA_PER_DAY
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
    """What the rules know of one bucket, and the calls that were made to it."""

    name: str
    clock: Clock
    spotify: Quotas
    die: random.Random
    usage: BucketUsage = field(default_factory=BucketUsage)
    paused_until: datetime | None = None
    made: list[datetime] = field(default_factory=list)
    lockouts: int = 0

    def a_day(self, purpose: Purpose) -> int:
        """Return how many calls a purpose may make in 24 hours."""
        return BUDGET.limit(self.name, self.usage, purpose, self.clock())

    def enter(self, calls: int, purpose: Purpose) -> None:
        """Raise Refused if so many calls are not possible now."""
        now = self.clock()
        if self.paused_until is not None and now < self.paused_until:
            raise Refused(self.paused_until)
        self.usage = replace(self.usage, ceiling=BUDGET.ceiling(self.name, self.usage, now))
        if BUDGET.room(self.name, self.usage, purpose, now) < calls:
            calls_by_hour, most = BUDGET.tightest(self.name, self.usage, purpose, now)
            again = room_at(calls_by_hour, now, calls, most)
            raise Refused(again or now + timedelta(hours=1))

    def call(self, purpose: Purpose) -> None:
        """Make a call, and learn from its refusal. Raises Refused."""
        self.enter(1, purpose)
        now = self.clock()
        usage = self.usage.with_call(hour_of(now), purpose)
        self.usage = replace(
            usage,
            calls_by_hour=_counted(usage.calls_by_hour, now),
            following_by_hour=_counted(usage.following_by_hour, now),
        )
        self.made.append(now)
        refusal = self.spotify.admit(PATHS[self.name])
        if refusal is not None:
            self._learn(int(str(refusal.retry_after)), now)
        if self.die.random() < FAULTY:
            raise Refused(now)

    def _learn(self, seconds: int, now: datetime) -> None:
        self.lockouts += 1
        self.paused_until = now + timedelta(seconds=seconds)
        known, calls = self.usage.ceiling, self.usage.calls_by_hour
        learnt = lowered(known, self.name, calls, seconds, now, BUDGET.per_day)
        self.usage = replace(self.usage, ceiling=learnt or known)
        raise Refused(self.paused_until)


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
        self._checked_at: datetime | None = None
        self.checks = self.searches = 0

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
            self.checks + self.searches,
        )

    def _sync(self) -> datetime:
        """Sweep the list; return when the next sync is due."""
        bucket, now = self.buckets[self._source], self.clock()
        cost = 2 if self._source == LISTING else 10
        most, calls_by_hour = bucket.a_day("background"), bucket.usage.calls_by_hour
        if self._search_works and self._source == SEARCH:
            most, calls_by_hour = most - bucket.a_day("following"), bucket.usage.without_following()
        again = room_at(calls_by_hour, now, cost, most)
        if again is not None and again > now:
            return again
        try:
            for _ in range(cost):
                bucket.call("background")
        except Refused as refused:
            return max(refused.again, now + INTERVAL)
        self._notice(release for release in self.releases if release.listed)
        return now + max(spacing(calls_by_hour, now, cost, most), INTERVAL)

    def _check(self) -> datetime:
        """Read the lists of the most urgent artist; return when the next check may be made."""
        bucket, now = self.buckets[ARTIST_ALBUMS], self.clock()
        calls, last = bucket.a_day("following"), self._checked_at
        artist = rotation.next_artist(self.schedules.values(), last, calls, now)
        if artist is None:
            return max(now + A_WHILE, (last or now) + rotation.spacing(calls))
        try:
            bucket.enter(rotation.CALLS, "following")
        except Refused as refused:
            return refused.again
        self.checks, self._checked_at = self.checks + 1, now
        try:
            for _ in range(rotation.CALLS):
                bucket.call("following")
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
        artist = min(self.schedules.values(), key=_searched)
        if artist.searched_at is not None and now < artist.searched_at + SEARCH_AFTER:
            return artist.searched_at + SEARCH_AFTER
        try:
            bucket.call("following")
        except Refused as refused:
            return max(refused.again, now + A_WHILE)
        self.searches += 1
        tally = self._found(artist.artist)
        self.schedules[artist.artist] = rotation.after_search(artist, tally, now)
        return now + COUNTED_FOR / max(bucket.a_day("following"), 1)

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


def _counted(calls_by_hour: CallsByHour, now: datetime) -> CallsByHour:
    """Leave hours out that no longer count."""
    return {hour: calls for hour, calls in calls_by_hour.items() if hour > now - COUNTED_FOR}


def _searched(schedule: Scheduled) -> datetime:
    return schedule.searched_at or schedule.added_at - SEARCH_AFTER
