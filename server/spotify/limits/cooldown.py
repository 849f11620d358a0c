"""Pauses that Spotify asks for: how long they are, and how one is remembered. Pure."""

import math
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

DEFAULT_PAUSE = 15 * 60  # seconds, when a 429 names none; twice as long each time it happens again
LONGEST_PAUSE = 48 * 3600
# Not more than RFC 9110 allows, and what some send all the same: 1.5, 35 s, 60;x
NUMBER = re.compile(r"\s*([+-]?[0-9]{1,12}(?:\.[0-9]{1,9})?)\s*(?:s\b|;|$)", re.ASCII)


@dataclass(frozen=True)
class Pause:
    """One bucket's pause; `unnamed` counts those in a row for which Spotify named no time."""

    since: datetime
    until: datetime
    reason: str
    unnamed: int = 0

    def seconds_left(self, now: datetime) -> int:
        """Whole seconds until it is over, 0 when it is over."""
        left = math.ceil((self.put_right(now).until - now).total_seconds())
        return max(left, 0)

    def put_right(self, now: datetime) -> "Pause":
        """The same pause, but none that begins in the future, nor one that is too long.

        It began on a clock that ran ahead and was put back since; so it begins now.
        """
        longest = timedelta(seconds=LONGEST_PAUSE)
        if self.since > now:
            length = min(self.until - self.since, longest)
            return replace(self, since=now, until=now + length)
        return replace(self, until=min(self.until, now + longest))


def named_pause(retry_after: str | None, now: datetime) -> int | None:
    """`Retry-After` in seconds, given as such or as a date (RFC 9110 section 10.2.3).

    None if it is absent or no time at all. Never more than LONGEST_PAUSE, nor less than 1.
    """
    text = (retry_after or "").strip()
    numbers = [NUMBER.match(part) for part in text.split(",")]
    if numbers[0]:  # a field sent twice is joined by a comma
        seconds = max(math.ceil(float(each[1])) for each in numbers if each)
    else:
        try:
            until = parsedate_to_datetime(text)
            seconds = int((until.replace(tzinfo=until.tzinfo or UTC) - now).total_seconds())
        except (ValueError, OverflowError):
            return None
    return min(max(seconds, 1), LONGEST_PAUSE)


def next_pause(before: Pause | None, named: int | None, reason: str, now: datetime) -> Pause:
    """The pause that a 429 begins, after the one `before`, if it has not been forgotten since.

    Retry-After is a minimum: a pause that lasts longer already is not cut short.
    """
    unnamed = before.unnamed if before else 0
    seconds = named
    if seconds is None:
        seconds = min(DEFAULT_PAUSE * 2 ** min(unnamed, 16), LONGEST_PAUSE)
    until = now + timedelta(seconds=seconds)
    if before and before.seconds_left(now) > seconds:
        until = before.until
    return Pause(now, until, reason, unnamed + (named is None))
