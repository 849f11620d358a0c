"""Schemas of `/api/status`, for the description of the API. Pure.

The docstrings and descriptions are shown in the API documentation.
"""

from datetime import date, datetime
from typing import Literal

from pydantic import Field

from server.catalog.schemas import SOURCE, STALE, Shape

BUCKET = (
    "The endpoint that the calls count for. Each grant type of `/api/token` counts separately, and "
    "so do logins from unknown browsers (`…/unknown-browsers`). More may be added."
)


class Login(Shape):
    """The most recent login, without its account; without one, all but `state` are null."""

    state: Literal["none", "active", "consent_needed", "unreadable"] = Field(
        description="Whether a login is stored and works; `unreadable`: SECRET has changed. More "
        "may be added."
    )
    authorized_at: datetime | None = Field(description="When the user gave consent.")
    reconsent_by: datetime | None = Field(description="When the consent expires, six months later.")
    days_to_reconsent: int | None = Field(
        description="Whole days until then; 0 once it has expired."
    )


class ListStatus(Shape):
    """The list of artists that the account of the login follows on Spotify, read once a day."""

    state: Literal["off", "login_missing", "scope_missing", "unread", "failed", "current"] = Field(
        description="`off`: FOLLOWING is off; `scope_missing`: the login does not allow it, so log "
        "in again; `unread`: not read yet; `failed`: the last read failed, see `error`. More may "
        "be added."
    )
    read_at: datetime | None = Field(description="When it was last read whole.")
    tried_at: datetime | None = Field(description="When reading it was last tried.")
    error: str | None = Field(
        description="The kind of error of the last try; `Incomplete`: it may not be whole."
    )


class LastSync(Shape):
    """The last sync and its outcome."""

    at: datetime = Field(description="When it ended.")
    outcome: Literal["complete", "partial", "failed"] = Field(
        description="`partial`: some pages are missing; `failed`: nothing could be stored."
    )
    error: str | None = Field(description="The kind of error that pages are missing for.")


class Source(Shape):
    """A source of new releases, and whether Spotify lets this app read it."""

    name: Literal["new-releases", "search"] = Field(
        description="Name of the source. More may be added."
    )
    verdict: Literal["allowed", "restricted", "unknown"] = Field(
        description="Whether this app may read it."
    )
    reason: str | None = Field(description="Spotify's reason for a restriction.")
    probed_at: datetime | None = Field(description="When it was last tried.")
    newest: str | None = Field(description="The newest release date on its first page.")


class Market(Shape):
    """A market of SYNC_MARKETS, and whether Spotify serves it; a refused one is retried daily."""

    market: str = Field(description="Country code (ISO 3166-1 alpha-2, or XK).")
    verdict: Literal["allowed", "refused", "unknown"] = Field(
        description="Whether Spotify serves it."
    )
    reason: str | None = Field(description="Spotify's reason for a refusal.")
    probed_at: datetime | None = Field(description="When it was last tried.")


class Bucket(Shape):
    """Calls to one of Spotify's endpoints in the last 24 hours."""

    bucket: str = Field(description=BUCKET)
    used: int = Field(description="Calls in the last 24 hours.")
    left: int = Field(
        description="Calls left of `per_day`, a tenth of which is reserved for users' requests."
    )
    per_day: int = Field(
        description="Calls that the endpoint may have in 24 hours: its ceiling, which is learnt "
        "from Spotify's refusals and never exceeds QUOTA_PER_DAY."
    )
    forecast: int = Field(description="Expected calls in the next 24 hours at the current rate.")
    refused_at: datetime | None = Field(
        description="When Spotify last refused a call because its own quota was used up."
    )
    refused_calls: int | None = Field(description="The calls that it had allowed before.")


class Cooldown(Shape):
    """A pause in the calls to an endpoint, requested by Spotify."""

    bucket: str = Field(description=BUCKET)
    until: datetime = Field(description="When the pause ends.")
    reason: str = Field(description="Spotify's reason.")


class Status(Shape):
    """The state of the server."""

    version: str = Field(description="Freshet's version.")
    as_of: datetime | None = Field(description="When the data last changed.")
    last_sync_at: datetime | None = Field(description="When a sync last stored releases.")
    last_complete_sync_at: datetime | None = Field(
        description="When a sync last completed without missing pages."
    )
    source: Literal["new-releases", "search"] | None = Field(description=SOURCE)
    stale: bool = Field(description=STALE)
    partial: bool = Field(description="True if the last sync missed pages.")
    why: str | None = Field(description="Why this source was chosen.")
    last_sync: LastSync | None = Field(
        description="The last sync, whether it succeeded or not; null before the first."
    )
    running: bool = Field(
        description="Whether a sync is running, in any process. A sync of another process shows "
        "within 10 seconds, usually at once."
    )
    next_sync_at: datetime | None = Field(
        description="When the next sync starts; null if this process does not run scheduled syncs."
    )
    sync_interval: int = Field(
        description="Seconds between syncs, as the quota allows; 0 if scheduled syncs are off."
    )
    newest_release: str | None = Field(
        description="Date of the newest release: YYYY, YYYY-MM or YYYY-MM-DD."
    )
    watched_since: date | None = Field(
        description="The first day (UTC) whose listings are stored: the earliest value of `at`. "
        "Null before the first sync."
    )
    new_at: datetime | None = Field(description="When releases were last added.")
    stuck: bool = Field(
        description="True if syncs complete, but nothing new was listed for 72 hours."
    )
    sources: list[Source] = Field(description="All sources, whether allowed or not.")
    markets: list[Market] = Field(description="The markets of SYNC_MARKETS, in its order.")
    quota: list[Bucket] = Field(
        description="The endpoints that were called recently, or of which Spotify refused a call."
    )
    cooldowns: list[Cooldown] = Field(description="The endpoints that are paused.")
    login: Login = Field(description="The login that syncs use.")
    following: ListStatus = Field(description="The list of followed artists of that login.")
