"""Quota arithmetic: calls used, when more fit, and the least time between sweeps. Pure.

A bucket is one of Spotify's endpoints. Calls are counted by the hour, and an hour counts as long as
any of it lies within the last 24 hours, so the true number over any 24 hours is never higher than
the sum. Source: Spotify blocks a bucket for a day after too many calls, whose number differs from
bucket to bucket (observed, undocumented).
"""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta

HOUR = timedelta(hours=1)
COUNTED_FOR = timedelta(hours=25)  # how long an hour counts after its start
SILENCE = timedelta(hours=3)  # without a call; the clock may have been put forward in it
SEARCH = "/search"
ARTIST_ALBUMS = "/artists/{id}/albums"
PARTS_OF_ME = ("following", "library", "playlists")

CallsByHour = Mapping[datetime, int]  # start of an hour → calls


def bucket_of(path: str) -> str:
    """Return the bucket of a path: its endpoint, without an id such as in /artists/{id}.

    Neighbours may be counted apart: an artist's albums, and parts of /me (observed).
    """
    parts = path.strip("/").split("/")
    match parts:
        case ["artists", _, "albums", *_]:
            return ARTIST_ALBUMS
        case ["browse", *_]:
            return "/" + "/".join(parts)
        case ["me", part, *_] if part in PARTS_OF_ME:
            return f"/me/{part}"
    return f"/{parts[0]}"


def unknown_browsers_bucket(bucket: str) -> str:
    """Return the part of a bucket for browsers that have not completed a login before.

    Strangers can make these calls fail at will, so their pauses must not affect other calls.
    """
    return f"{bucket}/unknown-browsers"


def hour_of(moment: datetime) -> datetime:
    """Return the start of the hour of `moment`."""
    return moment.replace(minute=0, second=0, microsecond=0)


def used(calls_by_hour: CallsByHour, now: datetime) -> int:
    """Sum the calls of the last 24 hours."""
    return sum(calls for start, calls in calls_by_hour.items() if start + COUNTED_FOR > now)


def corrected(
    calls_by_hour: CallsByHour, now: datetime, among: CallsByHour | None = None
) -> CallsByHour:
    """Move calls out of the future, where a clock that has since been put back counted them.

    The newest calls are moved to this hour, the others by the same distance. Calls from before a
    SILENCE are moved only if they lie in the future as well, because the clock may have been right
    until then. If the calls are some of others, `among` has all of them, and they move alike.
    """
    every = calls_by_hour if among is None else among
    first = newest = max(every, default=now)
    ahead = newest - hour_of(now)
    if ahead < HOUR:
        return calls_by_hour
    for start in sorted(every, reverse=True):
        if first - start > SILENCE:
            break
        first = start
    right: Counter[datetime] = Counter()
    for start, calls in calls_by_hour.items():
        right[start - ahead if start >= min(first, now) else start] += calls
    return right


def room_at(calls_by_hour: CallsByHour, now: datetime, calls: int, most: int) -> datetime | None:
    """Return when `calls` more calls fit under `most`; None if they never do."""
    if calls > most:
        return None
    left, moment = most - used(calls_by_hour, now), now
    for start in sorted(calls_by_hour):
        if left >= calls:
            break
        if start + COUNTED_FOR > now:
            left, moment = left + calls_by_hour[start], start + COUNTED_FOR
    return moment


def spacing(calls_by_hour: CallsByHour, now: datetime, cost: int, most: int) -> timedelta:
    """Return the least time between sweeps of `cost` calls each that fit under `most`.

    The calls left are spread until the hours used so far stop counting, so that syncs do not use
    them up early and then have to wait.
    """
    left, widest = most - used(calls_by_hour, now), timedelta(0)
    leaving = sorted(start for start in calls_by_hour if start + COUNTED_FOR > now)
    for start in leaving:
        fitting = max(left // cost, 0)
        widest = max(widest, (start + COUNTED_FOR - now) / (fitting + 1))
        left += calls_by_hour[start]
    return max(widest, COUNTED_FOR / max(most // cost, 1))
