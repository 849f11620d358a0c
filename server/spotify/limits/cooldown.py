"""Pauses (cooldowns) that Spotify asks for: their length, and how one follows another. Pure."""

import math
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

DEFAULT_PAUSE = 15 * 60  # seconds after a 429 without Retry-After; doubled each time in a row
MAX_PAUSE = 48 * 3600
# The seconds of RFC 9110, and what some services send instead: 1.5, 35 s, 60;x
NUMBER = re.compile(r"\s*([+-]?[0-9]{1,12}(?:\.[0-9]{1,9})?)\s*(?:s\b|;|$)", re.ASCII)


@dataclass(frozen=True)
class Pause:
    """The pause of one bucket; `unnamed` counts pauses in a row without a Retry-After."""

    since: datetime
    until: datetime
    reason: str
    unnamed: int = 0

    def seconds_left(self, now: datetime) -> int:
        """Return the whole seconds until the pause ends, 0 if it has ended."""
        left = math.ceil((self.corrected(now).until - now).total_seconds())
        return max(left, 0)

    def corrected(self, now: datetime) -> "Pause":
        """Correct a pause that starts in the future, or lasts too long, by a clock since put back.

        It then starts now, and ends after at most MAX_PAUSE seconds.
        """
        longest = timedelta(seconds=MAX_PAUSE)
        if self.since > now:
            length = min(self.until - self.since, longest)
            return replace(self, since=now, until=now + length)
        return replace(self, until=min(self.until, now + longest))


def named_pause(retry_after: str | None, now: datetime) -> int | None:
    """Read `Retry-After`, seconds or a date (RFC 9110 section 10.2.3); return seconds.

    The result is between 1 and MAX_PAUSE; None if the header is absent or cannot be read.
    """
    text = (retry_after or "").strip()
    numbers = [NUMBER.match(part) for part in text.split(",")]
    if numbers[0]:  # a header sent twice is joined by a comma
        seconds = max(math.ceil(float(each[1])) for each in numbers if each)
    else:
        try:
            until = parsedate_to_datetime(text)
            seconds = int((until.replace(tzinfo=until.tzinfo or UTC) - now).total_seconds())
        except (ValueError, OverflowError):
            return None
    return min(max(seconds, 1), MAX_PAUSE)


def next_pause(before: Pause | None, named: int | None, reason: str, now: datetime) -> Pause:
    """Make the pause that follows a 429; `named` is its Retry-After in seconds.

    `before` is the last pause, unless Spotify has answered since. Retry-After is a minimum: a pause
    that ends later is not shortened.
    """
    unnamed = before.unnamed if before else 0
    seconds = named
    if seconds is None:
        seconds = min(DEFAULT_PAUSE * 2 ** min(unnamed, 16), MAX_PAUSE)
    until = now + timedelta(seconds=seconds)
    if before and before.seconds_left(now) > seconds:
        until = before.until
    return Pause(now, until, reason, unnamed + (named is None))
