"""The value types that several chapters name: sources, verdicts, endpoints, grants. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from server.spotify.waiting import has_passed

SourceName = Literal["new-releases", "search"]
SourceSetting = Literal["auto", "new-releases", "search"]  # SYNC_SOURCE
# What a call is for: it decides how much of the quota it may use.
Purpose = Literal["interactive", "background", "following", "tokens", "login"]
SOURCE_ORDER: tuple[SourceName, ...] = ("new-releases", "search")  # the better source first

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
        return has_passed(self.probed_at, again, now)


@dataclass(frozen=True)
class Verdicts:
    """What one sweep has learnt of each source, and of each market by its country code.

    It holds for the app with this `client_id` alone.
    """

    sources: Mapping[SourceName, Verdict] = field(default_factory=dict)
    markets: Mapping[str, Verdict] = field(default_factory=dict)
    client_id: str = ""


@dataclass(frozen=True)
class Endpoint:
    """The request for a source; `limit` is the longest page that every kind of app may have."""

    path: str
    limit: int
    parameters: Mapping[str, str] = field(default_factory=dict)


ENDPOINTS: dict[SourceName, Endpoint] = {
    "new-releases": Endpoint("/browse/new-releases", 50),
    "search": Endpoint("/search", 10, {"q": "tag:new", "type": "album"}),
}


@dataclass(frozen=True)
class Grant:
    """The answer to a token request: tokens, masked in `repr`; `expires_in` is in seconds.

    `scopes` is None if the answer named none.
    """

    access_token: str = field(repr=False)
    expires_in: int
    refresh_token: str | None = field(default=None, repr=False)
    scopes: tuple[str, ...] | None = None

    @property
    def lifetime(self) -> timedelta:
        """How long the access token is valid from now on."""
        return timedelta(seconds=self.expires_in)
