"""Schemas of the API's responses, for its description. Pure.

Payloads are assembled from pieces that are serialised in advance and never pass through these
models; a test validates the payloads against them. The docstrings and descriptions are shown in
the API documentation.
"""

from datetime import date, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

ID = "^[0-9A-Za-z]{22}$"
OURS = "Freshet's own id; it changes when the database is created again."
THEIRS = "Spotify's id; use it to refer to this object."
KIND = (
    "`album_type`, except that a `single` with 4 to 6 tracks or with EP in its title counts as an "
    "`ep`, and one with more tracks as an `album`."
)
CREATED = "When Freshet first saw it."
FIRST_SEEN = (
    f"{CREATED} A release that was over 30 days old when a check of its artist found it (source "
    "`followed`) counts as first seen when its day, month or year began (UTC), or in 1900 if its "
    "date is unknown. It is not in the journal. Both change once a list of new releases has it."
)
UPDATED = "When a field last changed here."
SOURCE = (
    "The Spotify list that releases are read from; null before the first sync. More may be added."
)
STALE = "True if no sync has completed for three intervals."


class Shape(BaseModel):
    """An object with exactly these fields, all always present.

    The description does not say that there are no others: a later version may add some.
    """

    model_config = ConfigDict(extra="forbid", defer_build=True)  # most are never used to validate


class Image(Shape):
    """An image on Spotify's servers."""

    url: str = Field(description="Its URL.")
    height: int | None = Field(description="In pixels; null if Spotify does not say.")
    width: int | None = Field(description="In pixels; null if Spotify does not say.")


class Credit(Shape):
    """An artist in the credits of a release."""

    spotify_id: str = Field(description=THEIRS)
    name: str = Field(description="The artist's name.")


class Album(Shape):
    """A release: album, EP, single or compilation."""

    id: int = Field(description=OURS)
    spotify_id: str = Field(pattern=ID, description=THEIRS)
    type: Literal["album"] = Field(description="Always `album`, whatever `album_type` is.")
    name: str = Field(description="The title.")
    uri: str = Field(description="Spotify URI, which opens the release in Spotify's apps.")
    href: str | None = Field(description="URL of the release in Spotify's Web API.")
    album_type: str | None = Field(
        description="`album`, `single`, `ep` or `compilation`, as reported by Spotify; others "
        "may be added."
    )
    kind: str | None = Field(description=KIND)
    total_tracks: int | None = Field(description="Number of tracks.")
    images: list[Image] = Field(description="The cover in several sizes, widest first.")
    external_urls: dict[str, str] = Field(
        description="`spotify`: the page of the release on Spotify."
    )
    release_date: str | None = Field(description="YYYY, YYYY-MM or YYYY-MM-DD.")
    release_date_precision: Literal["year", "month", "day"] | None = Field(
        description="Precision of `release_date`."
    )
    released_on: date | None = Field(
        description="`release_date` if it is exact to the day, else null."
    )
    created_at: datetime = Field(description=FIRST_SEEN)
    updated_at: datetime = Field(description=UPDATED)
    last_seen_at: datetime = Field(
        description="When a sync or a check of an artist last found it in a list of Spotify's."
    )
    various_artists: bool = Field(description="True if it is credited to Various Artists.")
    artists: list[Credit] = Field(description="The credited artists, in Spotify's order.")
    available_markets: list[str] | None = Field(
        None, description="Country codes, only with `include=markets`; null if unknown."
    )


class Artist(Shape):
    """An artist with releases, newest first. All fields are present unless `fields` is given."""

    id: int = Field(description=OURS)
    spotify_id: str = Field(pattern=ID, description=THEIRS)
    type: Literal["artist"] = Field(description="Always `artist`.")
    name: str = Field(description="The artist's name.")
    uri: str = Field(description="Spotify URI, which opens the artist in Spotify's apps.")
    href: str | None = Field(description="URL of the artist in Spotify's Web API.")
    external_urls: dict[str, str] = Field(description="`spotify`: the artist's page on Spotify.")
    images: list[Image] = Field(description="The portrait in several sizes, widest first.")
    genres: list[str] | None = Field(
        description="Null if Spotify does not report them to this app."
    )
    popularity: int | None = Field(description="0 to 100; null if Spotify does not report it.")
    followers: int | None = Field(
        description="Followers on Spotify; null if it does not report them."
    )
    created_at: datetime = Field(description=CREATED)
    updated_at: datetime = Field(description=UPDATED)
    latest_album: Album = Field(description="The same as `albums[0]`.")
    albums: list[Album] = Field(
        min_length=1,
        description="The releases that match the query, on pages of everything up to 20 of the "
        "newest; of a single artist, all stored ones.",
    )


class Page(Shape):
    """Fields of every page of a list."""

    count: int = Field(description="Number of items on this page.")
    total: int | None = Field(
        description="Number of items on all pages; null if the list reaches beyond memory."
    )
    limit: int | None = Field(description="The requested limit; null if none was given.")
    offset: int = Field(description="Number of items skipped.")
    href: str = Field(
        description="Absolute URL of this page, with the parameters that were recognised."
    )
    next: str | None = Field(
        description="Absolute URL of the next page, or null after the last one."
    )
    previous: str | None = Field(description="Absolute URL of the previous page, or null.")
    as_of: datetime | None = Field(description="When the data last changed.")
    source: Literal["new-releases", "search"] | None = Field(description=SOURCE)
    stale: bool = Field(description=STALE)
    partial: bool = Field(description="True if the last sync missed pages.")
    place: str = Field(
        description="Place in the journal: the value of `after` with which `/api/changes/` returns "
        "the changes that this page does not have yet."
    )


class ArtistsPage(Page):
    """The artists of the latest releases."""

    items: list[Artist] = Field(description="The artists, in the requested order.")


class AlbumsPage(Page):
    """The latest releases."""

    items: list[Album] = Field(description="The releases, in the requested order.")


class Listing(Shape):
    """An interval during which a release was in one of Spotify's lists."""

    source: Literal["new-releases", "search", "followed"] = Field(
        description="Name of the list; `followed` for what checks of single artists have found. "
        "More may be added."
    )
    market: str | None = Field(
        description="The market that the list was requested for; null if none."
    )
    position: int = Field(description="The position at which it entered the list, from 0.")
    since: datetime = Field(description="When it entered the list.")
    until: datetime | None = Field(description="When it left the list; null while it is listed.")


class AlbumWithHistory(Album):
    """One release, its markets, and when it was listed."""

    history: list[Listing] = Field(description="Its listings, latest first.")


class SyncStarted(Shape):
    """A sync has started; `/api/status` and the log show its outcome."""

    status: Literal["started"] = Field(description="Always `started`.")


class ParameterFault(Shape):
    """An invalid query parameter."""

    parameter: str = Field(description="Name of the parameter.")
    value: str | None = Field(description="Its value as sent, cut off with … after 100 characters.")
    reason: str = Field(description="Why the value is invalid.")


class Problem(BaseModel):
    """An error, as problem details (RFC 9457). `GET type` explains it, in HTML or JSON."""

    type: str = Field(
        description="`/problems/{kind}`, below the path of the server: one for each kind of error. "
        "More kinds may be added."
    )
    title: str = Field(description="The same for all errors of a kind.")
    status: int = Field(description="The HTTP status code.")
    detail: str | None = Field(
        description="What is wrong in this case, or what to do; null if unknown."
    )
    instance: str = Field(description="`urn:request:` and the request id, as in the server's log.")
    errors: list[ParameterFault] = Field(
        default_factory=list, description="All invalid query parameters."
    )
