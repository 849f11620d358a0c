"""What followed artists release in a month, when it was noticed, and what that took."""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

FRIDAY = 4
ON_FRIDAYS = 0.6  # of all releases
LISTED = 0.35  # of all releases are in Spotify's list of new releases
MEAN_A_YEAR = 5.0
SPREAD = 0.9  # sigma of the lognormal distribution of releases a year


@dataclass
class Release:
    """One release; `noticed_at` is when it was stored, `album_id` known once it is out."""

    artist: str
    out_at: datetime
    listed: bool
    album_id: str = ""
    noticed_at: datetime | None = None


def planned(
    artists: Sequence[str],
    start: datetime,
    days: float,
    die: random.Random,
    mean: float = MEAN_A_YEAR,
) -> list[Release]:
    """Return what the artists release in these days, in order of time; `mean` is for a year.

    Few artists release much and many little; most releases come out on Fridays.
    """
    plan = []
    for artist in artists:
        # The mean of a lognormal distribution is exp(mu + sigma²/2).
        a_year = min(die.lognormvariate(0, SPREAD) * mean / 1.5, 8 * mean)
        left = days * a_year / 365
        while die.random() < left:
            plan.append(Release(artist, _moment(start, days, die), die.random() < LISTED))
            left -= 1
    return sorted(plan, key=lambda release: release.out_at)


def _moment(start: datetime, days: float, die: random.Random) -> datetime:
    moment = start + timedelta(days=die.uniform(0, days))
    if die.random() < ON_FRIDAYS:
        friday = moment - timedelta(days=(moment.weekday() - FRIDAY) % 7)
        # A release comes out at midnight of each country.
        moment = friday.replace(hour=0) + timedelta(hours=die.uniform(-12, 12))
        if not start <= moment < start + timedelta(days=days):
            moment = start + timedelta(days=die.uniform(0, days))
    return moment


@dataclass
class Figures:
    """How a month went; `calls` are the most in any 24 hours, by bucket."""

    title: str
    releases: Sequence[Release]
    lockouts: Mapping[str, int]
    calls: Mapping[str, int]
    a_day: Mapping[str, float] = field(default_factory=dict)
    checks: int = 0

    @property
    def missed(self) -> list[Release]:
        """The releases that nobody noticed."""
        return [release for release in self.releases if release.noticed_at is None]

    def hours(self, *, listed: bool) -> list[float]:
        """Return the hours from each release to its notice, in order."""
        return sorted(
            (release.noticed_at - release.out_at) / timedelta(hours=1)
            for release in self.releases
            if release.noticed_at is not None and release.listed is listed
        )

    def __str__(self) -> str:
        calls = ", ".join(
            f"{bucket} {self.a_day.get(bucket, 0):.0f} (at most {most})"
            for bucket, most in sorted(self.calls.items())
        )
        parts = (
            f"{self.title}: {len(self.releases)} released, {len(self.missed)} missed",
            f"in the list {_spread(self.hours(listed=True))}",
            f"not in it {_spread(self.hours(listed=False))}",
            f"{self.checks} checks",
            f"lock-outs {dict(self.lockouts) or 0}",
            f"calls a day {calls}",
        )
        return "; ".join(parts)


def _spread(hours: Sequence[float]) -> str:
    if not hours:
        return "none"
    return f"median {quantile(hours, 0.5):.1f} h, p95 {quantile(hours, 0.95):.1f} h"


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the value below which this share of the ordered values lies."""
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def most_in_a_day(moments: Iterable[datetime]) -> int:
    """Return the most moments in any 24 hours; they are in order."""
    times = list(moments)
    first = most = 0
    for last, moment in enumerate(times):
        while times[first] <= moment - timedelta(days=1):
            first += 1
        most = max(most, last - first + 1)
    return most
