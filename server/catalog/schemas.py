"""The shapes of answers, for the description of the API. Pure.

Payloads are put together from ready-made pieces and never pass through these models; a test holds
the two against each other.
"""

from datetime import date, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Shape(BaseModel):
    """An object with exactly these fields, all always present."""

    model_config = ConfigDict(extra="forbid")


class ImageShape(Shape):
    """A cover on Spotify's servers; pixels, null where Spotify does not say."""

    url: str
    height: int | None
    width: int | None


class CreditShape(Shape):
    """An artist as an album names it."""

    spotify_id: str
    name: str


class AlbumShape(Shape):
    """A release. `id` is ours, `spotify_id` the key to rely on."""

    id: int
    spotify_id: str = Field(pattern="^[0-9A-Za-z]{22}$")
    type: Literal["album"]
    name: str
    uri: str
    href: str | None
    album_type: str | None
    total_tracks: int | None
    images: list[ImageShape] = Field(description="Widest first.")
    external_urls: dict[str, str]
    release_date: str | None = Field(description="YYYY, YYYY-MM or YYYY-MM-DD.")
    release_date_precision: Literal["year", "month", "day"] | None
    released_on: date | None = Field(description="Null unless the precision is day.")
    created_at: datetime
    updated_at: datetime
    last_seen_at: datetime
    various_artists: bool
    artists: list[CreditShape]
    available_markets: list[str] | None = Field(
        None, description="Only with include=markets; null where nothing is known."
    )


class ArtistShape(Shape):
    """An artist with its releases of the window, newest first; every field, but with `fields`."""

    id: int
    spotify_id: str = Field(pattern="^[0-9A-Za-z]{22}$")
    type: Literal["artist"]
    name: str
    uri: str
    href: str | None
    external_urls: dict[str, str]
    images: list[ImageShape]
    genres: list[str] | None
    popularity: int | None
    followers: int | None
    created_at: datetime
    updated_at: datetime
    latest_album: AlbumShape = Field(description="albums[0] again.")
    albums: list[AlbumShape] = Field(min_length=1)


class Page(Shape):
    """What every page of a list has."""

    count: int
    total: int
    limit: int | None
    offset: int
    href: str = Field(description="What was understood of the request.")
    next: str | None
    previous: str | None
    as_of: datetime | None = Field(description="The last change of data.")
    source: Literal["new-releases", "search"] | None
    stale: bool = Field(description="No complete sync for three intervals.")
    partial: bool = Field(description="The last sync missed pages.")


class ArtistsPage(Page):
    """The artists who have just released something."""

    items: list[ArtistShape]


class AlbumsPage(Page):
    """The latest releases."""

    items: list[AlbumShape]


class ListingShape(Shape):
    """An interval in which a release stood in a list."""

    source: Literal["new-releases", "search"]
    market: str | None = Field(description="Null where the list was asked for none.")
    position: int = Field(description="The place at which it came in, from 0.")
    since: datetime
    until: datetime | None = Field(description="Null while it stands there.")


class AlbumWithHistory(AlbumShape):
    """One release, its markets, and when it was listed."""

    history: list[ListingShape] = Field(description="Latest first.")


class ParameterFaultShape(Shape):
    """One fault of a query string."""

    parameter: str
    value: str | None
    reason: str


class Problem(BaseModel):
    """An error, as RFC 9457 shapes it."""

    type: str
    title: str
    status: int
    detail: str | None
    instance: str = Field(description="urn:request:… as the log has it.")
    errors: list[ParameterFaultShape] = Field(default_factory=list)


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
    next_sync_at: datetime | None = Field(description="Null where this process does not sync.")
    sync_interval: int = Field(description="Seconds between syncs, as the quota allows; 0: never.")
    newest_release: str | None = Field(description="YYYY, YYYY-MM or YYYY-MM-DD.")
    new_at: datetime | None = Field(description="When albums last came in.")
    stuck: bool = Field(description="Syncs are complete, yet nothing new has come for 72 hours.")
    sources: list[SourceShape]
    quota: list[BucketShape]
    cooldowns: list[CooldownShape]
    login: LoginShape
