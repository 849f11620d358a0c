"""Which artist is checked next, when it is due again, and how often each one is checked. Pure.

An artist is due after a day at first; the interval doubles to a week while nothing changes, and is
a day again after a release. Each has an hour of its own, so that checks spread over the day. When
calls do not suffice for all, artists with recent releases come first. When calls are left, artists
are checked early, those that are due next first, but none more than twice a day.
"""

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta

from server.spotify.limits.quota import COUNTED_FOR
from server.spotify.waiting import has_passed
from server.storage.artist_checks import CheckTally, Scheduled

DAY = timedelta(days=1)
LONGEST = 7  # days between two checks while nothing changes
CALLS = 2  # of a check: one for albums, one for singles
RECENT = timedelta(days=90)
LATE = timedelta(days=LONGEST)  # by which no artist waits for those with recent releases
EARLY_AFTER = timedelta(hours=12)  # the least time between two checks, the second of them early
KEPT = 10  # early checks leave one call in ten, so that new artists are checked at once
RETRY = timedelta(hours=1)  # after a failed check, doubled after each further one
RETRIES = 3  # failures in a row after which an artist is tried again before all others
REFUSED_FOR = timedelta(days=1)  # after a refusal, such as of an unknown id; doubled likewise
MAX_REFUSED_FOR = timedelta(days=30)
NEXT = 10  # checks that an outlook names


def offset(artist: str) -> timedelta:
    """Return the time of the day (UTC) at which an artist is checked: the same each time."""
    digest = hashlib.sha256(artist.encode()).digest()
    return int.from_bytes(digest[:4], "big") % 86_400 * timedelta(seconds=1)


def after_check(schedule: Scheduled, tally: CheckTally, at: datetime) -> Scheduled:
    """Plan the check after one that succeeded at `at` and found what `tally` says."""
    quiet = schedule.checked_at is not None and not tally.added and not tally.stored
    days = min(max(schedule.interval_days, 1) * 2, LONGEST) if quiet else 1
    return replace(
        schedule,
        checked_at=at,
        interval_days=days,
        next_check_at=_slot(schedule.artist, at + days * DAY),
        failures=0,
        error=None,
    )


def after_failure(schedule: Scheduled, tally: CheckTally, at: datetime) -> Scheduled:
    """Plan the check after one that failed, such as by a 5xx: soon, then ever later."""
    return _again(schedule, at, RETRY, LATE)


def after_refusal(schedule: Scheduled, tally: CheckTally, at: datetime) -> Scheduled:
    """Plan the check after one that Spotify refused, such as by 404: an artist is set aside."""
    return _again(schedule, at, REFUSED_FOR, MAX_REFUSED_FOR)


def after_search(schedule: Scheduled, tally: CheckTally, at: datetime) -> Scheduled:
    """Plan the check after a search for an artist, which leaves the checks of its lists alone.

    After a release the lists are checked within a day, too.
    """
    if not tally.added:
        return replace(schedule, searched_at=at)
    soon = min(schedule.next_check_at, _slot(schedule.artist, at + DAY))
    return replace(schedule, searched_at=at, interval_days=1, next_check_at=soon)


def _again(schedule: Scheduled, at: datetime, first: timedelta, longest: timedelta) -> Scheduled:
    wait = min(first * 2 ** min(schedule.failures, 16), longest)
    return replace(schedule, next_check_at=at + wait, failures=schedule.failures + 1)


def _slot(artist: str, around: datetime) -> datetime:
    """Return the artist's time of the day that is nearest to `around`."""
    earliest = around - DAY / 2
    midnight = datetime.combine(earliest.astimezone(UTC).date(), time(), UTC)
    slot = midnight + offset(artist)
    return slot if slot >= earliest else slot + DAY


def next_artist(
    schedules: Collection[Scheduled], last: datetime | None, calls_a_day: int, now: datetime
) -> Scheduled | None:
    """Return the artist to check now; None while no check may be made. `last` was the last check.

    The most urgent artist that is due comes first: at once if it was never checked, else as soon as
    the calls of the day are spread. While none is due, the one that is due next is checked early.
    """
    first = most_urgent(schedules, now)
    if first is not None:
        at_once = first.checked_at is None
        return first if at_once or has_passed(last, spacing(calls_a_day), now) else None
    if not has_passed(last, early_spacing(calls_a_day), now):
        return None
    early = [each for each in schedules if _may_be_early(each, now)]
    return min(early, key=lambda each: each.next_check_at, default=None)


def most_urgent(schedules: Iterable[Scheduled], now: datetime) -> Scheduled | None:
    """Return the first of the artists that are due, None if none is."""
    due = [each for each in schedules if is_due(each, now)]
    return min(due, key=lambda each: _urgency(each, now), default=None)


def _may_be_early(schedule: Scheduled, now: datetime) -> bool:
    return not schedule.failures and has_passed(schedule.checked_at, EARLY_AFTER, now)


def is_due(schedule: Scheduled, now: datetime) -> bool:
    """Return whether a check is due; one later than any plan was made by a clock put back since."""
    longest = MAX_REFUSED_FOR if schedule.failures else max(schedule.interval_days, 1) * DAY
    if schedule.next_check_at - now > longest + DAY:
        return True
    return schedule.next_check_at <= now


def _urgency(schedule: Scheduled, now: datetime) -> tuple[int, datetime]:
    # Behind all others a retry would wait for a whole round, which can take weeks.
    if 0 < schedule.failures <= RETRIES:
        return 0, schedule.next_check_at
    if schedule.checked_at is None and not schedule.failures:
        return 1, schedule.added_at
    since = (now - RECENT).date().isoformat()
    recent = (schedule.newest_release or "") >= since
    urgent = recent or now - schedule.next_check_at >= LATE
    return 2 if urgent else 3, schedule.next_check_at


def spacing(calls_a_day: int) -> timedelta:
    """Return the time between two checks that spreads the calls of a day evenly."""
    return COUNTED_FOR / max(calls_a_day // CALLS, 1)


def early_spacing(calls_a_day: int) -> timedelta:
    """Return the least time between a check and an early one after it."""
    return spacing(calls_a_day - calls_a_day // KEPT)


@dataclass(frozen=True)
class RotationOutlook:
    """How often the wanted artists are checked, and how complete that is.

    `artists` are wanted, `checked` of them have been checked once or more, `recently` in the last 7
    days, and `failing` could not be checked the last time. `calls_a_day` is the ceiling, and
    `days_between` the mean number of days between two checks of an artist. `upcoming` are the next
    checks, with the artists' ids.
    """

    artists: int = 0
    checked: int = 0
    recently: int = 0
    failing: int = 0
    calls_a_day: int = 0
    days_between: float = 1.0
    upcoming: tuple[tuple[str, datetime], ...] = ()

    @property
    def completeness(self) -> float:
        """The share of the artists that were checked in the last 7 days; 1 without artists."""
        return self.recently / self.artists if self.artists else 1.0

    @property
    def every(self) -> str:
        """How often an artist is checked, in words."""
        hours, days = round(self.days_between * 24), round(self.days_between)
        if hours < 22:
            return f"every {hours} hours"
        return "every day" if days == 1 else f"every {days} days"


@dataclass(frozen=True)
class Turn:
    """An artist that waits to be checked; its `place` among all that wait counts from 0.

    Those that are due come first, by urgency, then the others by the time at which they are due.
    """

    artist: str
    place: int
    next_check_at: datetime
    checked_at: datetime | None = None
    failures: int = 0


@dataclass(frozen=True)
class Queue:
    """All wanted artists, who share the calls of a day, and which of them are one owner's.

    Of the owner's, `mine` in number, `checked` have been checked once or more, `recently` in the
    last 7 days, and `failing` could not be checked the last time. Of all, a check is `planned`, and
    of some it is `due`; `due_a_day` is how many checks a day the intervals of all ask for, `last`
    the time of the last check. `next` are the first turns of the owner's artists.
    """

    mine: int = 0
    checked: int = 0
    recently: int = 0
    failing: int = 0
    planned: int = 0
    due: int = 0
    due_a_day: float = 0.0
    last: datetime | None = None
    next: tuple[Turn, ...] = ()


def outlook(queue: Queue, calls_a_day: int, now: datetime) -> RotationOutlook:
    """Return how often the artists of an owner are checked, by the ceiling."""
    return RotationOutlook(
        artists=queue.mine,
        checked=queue.checked,
        recently=queue.recently,
        failing=queue.failing,
        calls_a_day=calls_a_day,
        days_between=days_between(queue.planned, queue.due_a_day, calls_a_day),
        upcoming=_upcoming(queue, calls_a_day, now),
    )


def _upcoming(queue: Queue, calls_a_day: int, now: datetime) -> tuple[tuple[str, datetime], ...]:
    """Return when the next artists will be checked, if the calls are made as planned."""
    turns = [(each.artist, _expected_at(each, queue, calls_a_day, now)) for each in queue.next]
    return tuple(sorted(turns, key=lambda turn: turn[1]))


def _expected_at(turn: Turn, queue: Queue, calls_a_day: int, now: datetime) -> datetime:
    """Return when a turn comes: those that are due one after the other, then the early ones."""
    apart = spacing(calls_a_day)
    start = now if queue.last is None else max(now, min(queue.last, now) + apart)
    if turn.place < queue.due:
        return now if turn.checked_at is None else start + turn.place * apart
    free = start + queue.due * apart
    at_the_latest = max(turn.next_check_at, free)
    if turn.failures or turn.checked_at is None:
        return at_the_latest
    early = free + (turn.place - queue.due) * early_spacing(calls_a_day)
    return min(max(early, turn.checked_at + EARLY_AFTER), at_the_latest)


def days_between(artists: int, due_a_day: float, calls_a_day: int) -> float:
    """Return the mean number of days between two checks of an artist.

    `due_a_day` is how many checks a day the intervals of the artists ask for. Where the calls do
    not suffice, it takes as long as a round of all artists; calls that are left shorten it.
    """
    if not artists:
        return 1.0
    capacity = max(calls_a_day / CALLS, 1 / LONGEST)
    early = min(capacity * (1 - 1 / KEPT), artists * (DAY / EARLY_AFTER))
    return artists / min(max(due_a_day, early), capacity)
