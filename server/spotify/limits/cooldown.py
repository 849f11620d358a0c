"""Cooldowns, the pauses that Spotify asks for: their length, and how one follows another. Pure."""

import math
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

DEFAULT_COOLDOWN = 15 * 60  # seconds after a 429 without Retry-After; doubled each time in a row
MAX_COOLDOWN = 48 * 3600
CUTS_COOLDOWN = 10 * 60  # seconds after a series of cut connections
# The seconds of RFC 9110, and what some services send instead: 1.5, 35 s, 60;x
NUMBER = re.compile(r"\s*([+-]?[0-9]{1,12}(?:\.[0-9]{1,9})?)\s*(?:s\b|;|$)", re.ASCII)


@dataclass(frozen=True)
class Cooldown:
    """The cooldown of one bucket; `unnamed` counts cooldowns in a row without a Retry-After."""

    since: datetime
    until: datetime
    reason: str
    unnamed: int = 0

    def seconds_left(self, now: datetime) -> int:
        """Return the whole seconds until the cooldown ends, 0 if it has ended."""
        left = math.ceil((self.corrected(now).until - now).total_seconds())
        return max(left, 0)

    def corrected(self, now: datetime) -> "Cooldown":
        """Correct a cooldown that a clock, since put back, has left in the future or too long.

        It then starts now, and ends after at most MAX_COOLDOWN seconds.
        """
        longest = timedelta(seconds=MAX_COOLDOWN)
        if self.since > now:
            length = min(self.until - self.since, longest)
            return replace(self, since=now, until=now + length)
        return replace(self, until=min(self.until, now + longest))


def after_cuts(before: Cooldown | None, cuts: int, now: datetime) -> Cooldown:
    """Make the cooldown after a series of cut connections; one that ends later is not shortened.

    Source: after about 500 fast calls Spotify cut connections for ten minutes, without a 429
    (observed once).
    """
    until = now + timedelta(seconds=CUTS_COOLDOWN)
    if before and before.seconds_left(now) > CUTS_COOLDOWN:
        return before
    reason = f"Spotify cut {cuts} connections in a row without an answer"
    return Cooldown(now, until, reason, before.unnamed if before else 0)


def read_retry_after(retry_after: str | None, now: datetime) -> int | None:
    """Read `Retry-After`, seconds or a date (RFC 9110 section 10.2.3); return seconds.

    The result is between 1 and MAX_COOLDOWN; None if the header is absent or cannot be read.
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
    return min(max(seconds, 1), MAX_COOLDOWN)


def next_cooldown(
    before: Cooldown | None, named: int | None, reason: str, now: datetime
) -> Cooldown:
    """Make the cooldown that follows a 429; `named` is its Retry-After in seconds.

    `before` is the last cooldown, unless Spotify has answered since. Retry-After is a minimum: a
    cooldown that ends later is not shortened.
    """
    unnamed = before.unnamed if before else 0
    seconds = named
    if seconds is None:
        seconds = min(DEFAULT_COOLDOWN * 2 ** min(unnamed, 16), MAX_COOLDOWN)
    until = now + timedelta(seconds=seconds)
    if before and before.seconds_left(now) > seconds:
        until = before.until
    return Cooldown(now, until, reason, unnamed + (named is None))
