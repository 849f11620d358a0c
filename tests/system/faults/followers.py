"""A simulation in which somebody follows artists: what they release is played on the stand-in."""

import random
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from models import ArtistCheck, Change
from server.app.following import Following
from server.following import rotation
from server.spotify.limits.quota import bucket_of
from server.standin import AppKind, Catalogue, StandIn
from server.storage import following as storage
from tests.support.clock import Clock
from tests.support.standins import StartStandIn
from tests.system.faults.fans import Figures, Release, most_in_a_day, planned
from tests.system.faults.simulation import SOME_TIME, Simulation

ACCOUNT = "standin-account-1"
RECONSIDERED = timedelta(hours=8)  # between two changes of the followed artists
A_READ = timedelta(hours=26)  # in which the list is read again
A_WHILE = timedelta(minutes=5)
A_LOCK_OUT = timedelta(hours=1)  # a pause that is longer


class Followers(Simulation):
    """A syncer, the details and the checks of followed artists on a stand-in."""

    releases: Sequence[Release] = ()

    def _boot(self) -> None:
        super()._boot()
        self.following = Following(
            self.database, self.upstream, self.syncer, self._announce, self.clock
        )

    async def live_with(self, releases: Sequence[Release], days: float, step: timedelta) -> None:
        """Let days go by, in which these releases come out; `step` is the longest idle time.

        Searches for artists are made no more often than once in a step.
        """
        self.releases = releases
        end, coming = self.clock() + timedelta(days=days), [*releases]
        second_thoughts = self.clock() + RECONSIDERED
        while self.clock() < end:
            if second_thoughts <= self.clock() < end - A_READ:
                second_thoughts += RECONSIDERED
                self._reconsider()
            while coming and coming[0].out_at <= self.clock():
                self._bring_out(coming.pop(0))
            await self.tick()
            await self.look_up(most=3)
            if not await self._work():
                soon = [timedelta(seconds=max(self.syncer.schedule.seconds_left(), 0)) + SOME_TIME]
                soon += [coming[0].out_at - self.clock()] if coming else []
                soon += [max(self._next_check() - self.clock(), A_WHILE)]
                self.clock.moment += min(max(min(soon), SOME_TIME), step)

    def _next_check(self) -> datetime:
        """Return when the next check may be made, if an artist is due or can be checked early."""
        last = self.following.plans.last_check or self.clock()
        return last + rotation.spacing(self.following.calls_a_day())

    def _reconsider(self) -> None:
        """Unfollow an artist that releases nothing, or follow one again."""
        following = self.standin.catalogue.following
        quiet = sorted(self.standin.catalogue.discographies.artists)
        quiet = [each for each in quiet if each not in {item.artist for item in self.releases}]
        artist = quiet[len(self.standin.calls) % len(quiet)]
        followed = following.follows(ACCOUNT, artist)
        (following.unfollow if followed else following.follow)(artist)

    async def stored(self) -> tuple[set[str], set[str]]:
        """Return whom the account follows by the database, and by the stand-in."""
        known = await self.database.run(storage.read_mine, ACCOUNT)
        followed = self.standin.catalogue.followed(ACCOUNT)
        return set(known.followed), {artist["id"] for artist in followed}

    def _bring_out(self, release: Release) -> None:
        album = self.standin.catalogue.release(
            release.artist,
            release.out_at.date(),
            listed=release.listed,
            album_type="album" if len(self.record.published) % 4 == 0 else "single",
        )
        release.album_id = album["id"]

    async def _work(self) -> bool:
        """Let each job of following have its turn; return whether any of them made a call."""
        before = len(self.standin.calls)
        with self._observed():
            for job, _ in self.following.jobs:
                await job()
        worked = len(self.standin.calls) > before
        self.clock.moment += SOME_TIME if worked else timedelta(0)
        return worked

    async def figures(self, title: str, days: float) -> Figures:
        """Return how it went; what no journal entry tells of was not noticed."""
        added = await self.all(select(Change).where(Change.kind == "added"))
        noticed = {change.album: change.at for change in added}
        for release in self.releases:
            release.noticed_at = noticed.get(release.album_id)
        moments: dict[str, list[Any]] = {}
        for call in self.standin.calls:
            if call.path.startswith("/v1/"):
                bucket = bucket_of(call.path.removeprefix("/v1"))
                moments.setdefault(bucket, []).append(call.at)
        return Figures(
            title,
            self.releases,
            self.lock_outs(),
            {bucket: most_in_a_day(times) for bucket, times in moments.items()},
            {bucket: len(times) / days for bucket, times in moments.items()},
            len(await self.all(select(ArtistCheck.id))),
        )

    def lock_outs(self) -> Counter[str]:
        """Return how often each bucket was paused for long."""
        return Counter(
            pause.bucket for pause in self.record.pauses if pause.until - pause.since > A_LOCK_OUT
        )


def followed_by(
    start: StartStandIn, kind: AppKind, clock: Clock, artists: int, **options: Any
) -> StandIn:
    """Start a stand-in whose listener follows so many invented artists; options are StandIn's."""
    today = clock().date()
    catalogue = Catalogue.generate(today=today, size=60)
    catalogue.following.follow_only(catalogue.discographies.invent(artists, today))
    return start(
        kind=kind,
        clock=clock,
        catalogue=catalogue,
        calls_kept=1_000_000,
        **options,
    )


def releases_of(standin: StandIn, days: float, mean: float) -> list[Release]:
    """Plan what the followed artists of a stand-in release in the coming days.

    `mean` is the number of releases a year of an artist.
    """
    artists = [artist["id"] for artist in standin.catalogue.followed(ACCOUNT)]
    return planned(artists, standin.world.clock(), days, random.Random(7), mean)
