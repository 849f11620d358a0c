"""The shapes of answers, for the description of the API. Pure.

Payloads are put together from ready-made pieces and never pass through these models; a test holds
the two against each other.
"""

from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Shape(BaseModel):
    """An object with exactly these fields, all always present."""

    model_config = ConfigDict(extra="forbid", defer_build=True)  # most are never asked


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
    href: str = Field(
        description="The absolute address of this page, with the parameters that were understood."
    )
    next: str | None = Field(description="The absolute address of the next page.")
    previous: str | None = Field(description="The absolute address of the previous page.")
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


class ChangedField(Shape):
    """A field before and after; of any type."""

    old: Any
    new: Any


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


class ReleaseSummary(Shape):
    """A release as it was when it changed: enough for a notification, within bounds."""

    name: str = Field(description="Ends in … after 200 characters.")
    artists: list[CreditShape] = Field(
        max_length=20, description="The first 20, in the order of the credits; names as `name`."
    )
    kind: str | None = Field(
        description="`album_type`, but a `single` of 4 to 6 tracks or with EP in its title is an "
        "`ep`, one of more tracks an `album`."
    )
    release_date: str | None = Field(description="YYYY, YYYY-MM or YYYY-MM-DD.")
    url: str | None = Field(description="The release on Spotify.")
    image: str | None = Field(
        description="Its cover: the narrowest of 250 pixels or more (usually 300), or else the "
        "widest."
    )


class ChangeShape(Shape):
    """One entry of the journal."""

    seq: int = Field(description="Only grows.")
    kind: Literal["added", "updated", "gone", "deleted"] = Field(
        description="It came into its first list, differs, left its last, or is no longer kept."
    )
    at: datetime
    album: str = Field(description="Spotify's id, which outlives the album here.")
    release: ReleaseSummary | None = Field(
        description="Null in entries from before version 0.2 whose album is no longer kept."
    )
    detail: dict[str, ChangedField] = Field(description="Of an update: the fields that differ.")


class ChangesPage(Shape):
    """A piece of the journal."""

    items: list[ChangeShape]
    next_after: int = Field(description="What to ask for next as `after`.")
    up_to_date: bool = Field(description="True when nothing has been written after `next_after`.")


class SyncStarted(Shape):
    """A sync has begun; the log and /api/status tell how it ends."""

    status: Literal["started"]


class ParameterFaultShape(Shape):
    """One fault of a query string."""

    parameter: str
    value: str | None
    reason: str


class Problem(BaseModel):
    """An error, as problem details (RFC 9457). `GET type` explains it, as a page or as JSON."""

    type: str = Field(
        description="`/problems/{kind}`, below the path of the server: one for each kind of error. "
        "The kinds may grow."
    )
    title: str = Field(description="The same for all errors of a kind.")
    status: int
    detail: str | None = Field(description="What to do about this one; null where unknown.")
    instance: str = Field(description="urn:request:… as the log has it.")
    errors: list[ParameterFaultShape] = Field(default_factory=list)


class OutOfReach(Problem):
    """The problem `journal-out-of-reach`: how far the journal reaches, and where to begin again."""

    oldest: int | None = Field(description="The oldest change that is kept; null when none is.")
    newest: int = Field(description="The newest change that was written.")
    begin_after: int = Field(
        description="What to ask for as `after` once all pages of /api/albums/ have been fetched."
    )
