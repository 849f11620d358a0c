"""The values that several chapters name: sources, purposes of calls, verdicts. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
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
    """Whether this app may use a source, an endpoint or a market; `reason` is Spotify's.

    `newest` is the newest release date on the first page of a source, not counting announcements.
    """

    allowed: bool
    reason: str | None
    probed_at: datetime
    newest: str | None = None

    def is_due(self, now: datetime, again: timedelta = PROBE_AGAIN) -> bool:
        """Whether to ask again; a verdict from the future, by a clock since put back, is due."""
        return not timedelta(0) <= now - self.probed_at < again


@dataclass(frozen=True)
class Verdicts:
    """What one sweep has learnt of each source, and of each market by its country code."""

    sources: Mapping[SourceName, Verdict] = field(default_factory=dict)
    markets: Mapping[str, Verdict] = field(default_factory=dict)
