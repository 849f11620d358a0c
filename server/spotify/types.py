"""The values that several chapters name: sources, purposes of calls, verdicts. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

SourceName = Literal["new-releases", "search"]
Setting = Literal["auto", "new-releases", "search"]  # SYNC_SOURCE
# What a call is for: it decides how much of the quota it may use.
Purpose = Literal["interactive", "background", "tokens", "login"]
LADDER: tuple[SourceName, ...] = ("new-releases", "search")  # the better source first

PROBE_AGAIN = timedelta(days=1)


@dataclass(frozen=True)
class Verdict:
    """What an app was last told about a source, an endpoint or a market; `reason` is Spotify's.

    `newest` is the newest release date that the first page of a source named, not counting
    announcements.
    """

    allowed: bool
    reason: str | None
    probed_at: datetime
    newest: str | None = None

    def is_due(self, now: datetime, again: timedelta = PROBE_AGAIN) -> bool:
        """Whether it is time to ask again; a clock that was put back is no reason to wait."""
        return not timedelta(0) <= now - self.probed_at < again
