"""The shape of what the server knows of itself, for the description of the API. Pure."""

from datetime import date, datetime
from typing import Literal

from pydantic import Field

from server.catalog.schemas import SOURCE, STALE, Shape

BUCKET = (
    "The endpoint. Each grant of `/api/token` counts by itself, and so do logins in browsers that "
    "are not known (`…/unknown-browsers`). May grow."
)


class Login(Shape):
    """The newest login, without its account; all null when nobody has logged in."""

    state: Literal["none", "active", "consent_needed", "unreadable"] = Field(
        description="Whether there is a login that works; `unreadable`: SECRET has changed."
    )
    authorized_at: datetime | None = Field(description="When the user agreed.")
    reconsent_by: datetime | None = Field(description="When Spotify ends that, six months later.")
    days_to_reconsent: int | None = Field(description="Whole days until then, 0 once it has ended.")


class LastSync(Shape):
    """The last sync, whatever came of it."""

    at: datetime = Field(description="When it ended.")
    outcome: Literal["complete", "partial", "failed"] = Field(
        description="`partial`: some pages are missing; `failed`: nothing could be stored."
    )
    error: str | None = Field(description="The kind of error that kept pages away.")


class Source(Shape):
    """What this app was last told about a source of new releases."""

    name: Literal["new-releases", "search"] = Field(description="The list.")
    verdict: Literal["allowed", "restricted", "unknown"] = Field(
        description="Whether this app may read it."
    )
    reason: str | None = Field(description="Spotify's, for a restriction.")
    probed_at: datetime | None = Field(description="When it was last tried.")
    newest: str | None = Field(description="The newest release date on its first page.")


class Market(Shape):
    """What Spotify last said of one market of SYNC_MARKETS; a refused one is tried again daily."""

    market: str = Field(description="Country code of ISO 3166-1 alpha-2, or XK.")
    verdict: Literal["allowed", "refused", "unknown"] = Field(
        description="Whether Spotify serves it."
    )
    reason: str | None = Field(description="Spotify's, for a refusal.")
    probed_at: datetime | None = Field(description="When it was last tried.")


class Bucket(Shape):
    """The calls of the last 24 hours to one of Spotify's endpoints."""

    bucket: str = Field(description=BUCKET)
    used: int = Field(description="Calls of the last 24 hours.")
    left: int = Field(description="Before QUOTA_PER_DAY; a tenth of it is kept for people.")
    per_day: int = Field(description="Calls allowed in 24 hours (QUOTA_PER_DAY).")
    forecast: int = Field(description="Calls in the coming 24 hours if all goes on as now.")


class Cooldown(Shape):
    """An endpoint that is left alone, because Spotify asked for it."""

    bucket: str = Field(description=BUCKET)
    until: datetime = Field(description="When it may be asked again.")
    reason: str = Field(description="Spotify's answer.")


class Status(Shape):
    """The state of the server."""

    version: str = Field(description="Freshet's version.")
    as_of: datetime | None = Field(description="The last change of data.")
    last_sync_at: datetime | None = Field(description="The last sync that brought pages.")
    last_complete_sync_at: datetime | None = Field(description="The last without gaps.")
    source: Literal["new-releases", "search"] | None = Field(description=SOURCE)
    stale: bool = Field(description=STALE)
    partial: bool = Field(description="True if the last sync missed pages.")
    why: str | None = Field(description="Why this source was chosen.")
    last_sync: LastSync | None = Field(description="Null before the first.")
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
    sources: list[Source] = Field(description="All lists that can be read.")
    markets: list[Market] = Field(description="Those of SYNC_MARKETS, in its order.")
    quota: list[Bucket] = Field(description="The endpoints that were asked lately.")
    cooldowns: list[Cooldown] = Field(description="The endpoints in a pause.")
    login: Login = Field(description="The login that syncs use.")
