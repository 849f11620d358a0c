"""The schemas of answers, for the description of the API. Pure.

Payloads are assembled from ready-made pieces and never pass through these models; a test holds the
two against each other.
"""

from datetime import date, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

ID = "^[0-9A-Za-z]{22}$"
OURS = "Freshet's own number; it changes when the database is created again."
THEIRS = "Spotify's id: the one to rely on."
CREATED = "When Freshet first saw it."
UPDATED = "When a field last changed here."
SOURCE = "The list that was read; null before the first sync."
STALE = "True if no sync was complete for three intervals."


class Shape(BaseModel):
    """An object with exactly these fields, all always present."""

    model_config = ConfigDict(extra="forbid", defer_build=True)  # most are never asked


class Image(Shape):
    """A picture on Spotify's servers."""

    url: str = Field(description="Its address.")
    height: int | None = Field(description="In pixels; null where Spotify does not say.")
    width: int | None = Field(description="In pixels; null where Spotify does not say.")


class Credit(Shape):
    """An artist as an album names it."""

    spotify_id: str = Field(description=THEIRS)
    name: str = Field(description="The artist's name.")


class Album(Shape):
    """A release: album, EP, single or compilation."""

    id: int = Field(description=OURS)
    spotify_id: str = Field(pattern=ID, description=THEIRS)
    type: Literal["album"] = Field(description="Always `album`, whatever `album_type` is.")
    name: str = Field(description="The title.")
    uri: str = Field(description="Opens it in Spotify's apps.")
    href: str | None = Field(description="Its address in Spotify's Web API.")
    album_type: str | None = Field(
        description="`album`, `single`, `ep` or `compilation`, as Spotify says; more may come."
    )
    total_tracks: int | None = Field(description="Number of tracks.")
    images: list[Image] = Field(description="The cover in several sizes, widest first.")
    external_urls: dict[str, str] = Field(description="`spotify`: its page on Spotify.")
    release_date: str | None = Field(description="YYYY, YYYY-MM or YYYY-MM-DD.")
    release_date_precision: Literal["year", "month", "day"] | None = Field(
        description="How exact `release_date` is."
    )
    released_on: date | None = Field(description="The release date; null unless exact to the day.")
    created_at: datetime = Field(description=CREATED)
    updated_at: datetime = Field(description=UPDATED)
    last_seen_at: datetime = Field(description="When a sync last met it in a list.")
    various_artists: bool = Field(description="True if it is credited to Various Artists.")
    artists: list[Credit] = Field(description="In the order of the credits.")
    available_markets: list[str] | None = Field(
        None, description="Only with `include=markets`: country codes; null where unknown."
    )


class Artist(Shape):
    """An artist with releases, newest first. All fields are present, unless `fields` chose some."""

    id: int = Field(description=OURS)
    spotify_id: str = Field(pattern=ID, description=THEIRS)
    type: Literal["artist"] = Field(description="Always `artist`.")
    name: str = Field(description="The artist's name.")
    uri: str = Field(description="Opens the artist in Spotify's apps.")
    href: str | None = Field(description="The artist's address in Spotify's Web API.")
    external_urls: dict[str, str] = Field(description="`spotify`: the artist's page on Spotify.")
    images: list[Image] = Field(description="The portrait in several sizes, widest first.")
    genres: list[str] | None = Field(description="Null where Spotify does not tell this app.")
    popularity: int | None = Field(description="0 to 100; null where Spotify does not tell it.")
    followers: int | None = Field(description="On Spotify; null where that does not tell it.")
    created_at: datetime = Field(description=CREATED)
    updated_at: datetime = Field(description=UPDATED)
    latest_album: Album = Field(description="`albums[0]` again.")
    albums: list[Album] = Field(
        min_length=1, description="Those that the query lists, or all that are kept."
    )


class Page(Shape):
    """What every page of a list has."""

    count: int = Field(description="Number of items on this page.")
    total: int = Field(description="Number of items on all pages.")
    limit: int | None = Field(description="As asked for; null when not given.")
    offset: int = Field(description="Number of items skipped.")
    href: str = Field(
        description="The absolute address of this page, with the parameters that were understood."
    )
    next: str | None = Field(description="The absolute address of the next page.")
    previous: str | None = Field(description="The absolute address of the previous page.")
    as_of: datetime | None = Field(description="The last change of data.")
    source: Literal["new-releases", "search"] | None = Field(description=SOURCE)
    stale: bool = Field(description=STALE)
    partial: bool = Field(description="True if the last sync missed pages.")


class ArtistsPage(Page):
    """The artists of the latest releases."""

    items: list[Artist] = Field(description="The artists, in the order asked for.")


class AlbumsPage(Page):
    """The latest releases."""

    items: list[Album] = Field(description="The releases, in the order asked for.")


class Listing(Shape):
    """An interval in which a release stood in one of Spotify's lists."""

    source: Literal["new-releases", "search"] = Field(description="The list.")
    market: str | None = Field(description="Null where the list was asked for none.")
    position: int = Field(description="The place at which it came in, from 0.")
    since: datetime = Field(description="When it came in.")
    until: datetime | None = Field(description="When it left; null while it stands there.")


class AlbumWithHistory(Album):
    """One release, its markets, and when it was listed."""

    history: list[Listing] = Field(description="Latest first.")


class SyncStarted(Shape):
    """A sync has begun; the log and /api/status tell how it ends."""

    status: Literal["started"] = Field(description="Always `started`.")


class ParameterFault(Shape):
    """One fault of a query string."""

    parameter: str = Field(description="Its name.")
    value: str | None = Field(description="As given; cut after 100 characters.")
    reason: str = Field(description="What is wrong with it.")


class Problem(BaseModel):
    """An error, as problem details (RFC 9457). `GET type` explains it, as a page or as JSON."""

    type: str = Field(
        description="`/problems/{kind}`, below the path of the server: one for each kind of error. "
        "The kinds may grow."
    )
    title: str = Field(description="The same for all errors of a kind.")
    status: int = Field(description="The HTTP status again.")
    detail: str | None = Field(description="What to do about this one; null where unknown.")
    instance: str = Field(description="urn:request:… as the log has it.")
    errors: list[ParameterFault] = Field(
        default_factory=list, description="Every fault of the query string."
    )
