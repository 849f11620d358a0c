"""The shape of what the server knows of itself, for the description of the API. Pure."""

from datetime import date, datetime
from typing import Literal

from pydantic import Field

from server.catalog.schemas import Shape


class LoginShape(Shape):
    """The newest login, without its account; all null when nobody has logged in."""

    state: Literal["none", "active", "consent_needed", "unreadable"]
    authorized_at: datetime | None = Field(description="When the user agreed.")
    reconsent_by: datetime | None = Field(description="When Spotify ends that, six months later.")
    days_to_reconsent: int | None = Field(description="Whole days until then, 0 once it has ended.")


class SyncShape(Shape):
    """The last sync, whatever came of it."""

    at: datetime
    outcome: Literal["complete", "partial", "failed"]
    error: str | None = Field(description="The kind of error that kept pages away.")


class SourceShape(Shape):
    """What this app was last told about a source of new releases."""

    name: Literal["new-releases", "search"]
    verdict: Literal["allowed", "restricted", "unknown"]
    reason: str | None = Field(description="Spotify's, for a restriction.")
    probed_at: datetime | None
    newest: str | None = Field(description="The newest release date on its first page.")


class MarketShape(Shape):
    """What Spotify last said of one market of SYNC_MARKETS; a refused one is tried again daily."""

    market: str = Field(description="Country code of ISO 3166-1 alpha-2, or XK.")
    verdict: Literal["allowed", "refused", "unknown"]
    reason: str | None = Field(description="Spotify's, for a refusal.")
    probed_at: datetime | None


class BucketShape(Shape):
    """The calls of the last 24 hours to one of Spotify's endpoints."""

    bucket: str
    used: int
    left: int = Field(description="Before QUOTA_PER_DAY; a tenth of it is kept for people.")
    per_day: int
    forecast: int = Field(description="Calls in the coming 24 hours if all goes on as now.")


class CooldownShape(Shape):
    """An endpoint that is left alone, because Spotify asked for it."""

    bucket: str
    until: datetime
    reason: str


class Status(Shape):
    """What the server knows of itself."""

    version: str
    as_of: datetime | None = Field(description="The last change of data.")
    last_sync_at: datetime | None = Field(description="The last sync that brought pages.")
    last_complete_sync_at: datetime | None
    source: Literal["new-releases", "search"] | None
    stale: bool = Field(description="No complete sync for three intervals.")
    partial: bool = Field(description="The last sync missed pages.")
    why: str | None = Field(description="What made the source the source.")
    last_sync: SyncShape | None
    running: bool = Field(
        description="A sync is under way. That another process makes one is known after 10 seconds "
        "at most, and mostly at once."
    )
    next_sync_at: datetime | None = Field(description="Null where this process does not sync.")
    sync_interval: int = Field(description="Seconds between syncs, as the quota allows; 0: never.")
    newest_release: str | None = Field(description="YYYY, YYYY-MM or YYYY-MM-DD.")
    watched_since: date | None = Field(
        description="The first day (UTC) whose listings are kept: the earliest that `at` takes. "
        "Null before the first sync."
    )
    new_at: datetime | None = Field(description="When albums last came in.")
    stuck: bool = Field(description="Syncs are complete, yet nothing new has come for 72 hours.")
    sources: list[SourceShape]
    markets: list[MarketShape] = Field(description="Those of SYNC_MARKETS, in its order.")
    quota: list[BucketShape]
    cooldowns: list[CooldownShape]
    login: LoginShape
