"""Schemas of `/api/my/following/`, for the description of the API. Pure."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from server.catalog.schemas import ID, THEIRS, Shape


class MyArtist(Shape):
    """An artist of the caller, and when its releases are looked up."""

    spotify_id: str = Field(pattern=ID, description=THEIRS)
    name: str | None = Field(description="The artist's name; null until Freshet knows it.")
    followed: bool = Field(description="Whether the account follows the artist on Spotify.")
    choice: Literal["watched", "ignored"] | None = Field(
        description="Whether the artist is watched or ignored by hand; null if neither."
    )
    checked_at: datetime | None = Field(
        description="When the artist's own releases were last looked up; null if never."
    )
    next_check_at: datetime | None = Field(
        description="When that is due next; earlier while calls are left. Null if not planned yet."
    )
    newest_release: str | None = Field(
        description="The newest release date known: YYYY, YYYY-MM or YYYY-MM-DD."
    )
    error: str | None = Field(description="Why the last look-up failed; null if it did not.")


class FollowedList(Shape):
    """The account's list on Spotify."""

    read_at: datetime | None = Field(description="When it was last read whole; null if never.")
    tried_at: datetime | None = Field(description="When Freshet last tried to read it.")
    error: str | None = Field(description="Why the last try failed; null if it did not.")


class Following(Shape):
    """The artists of the caller, and how far Freshet is with them."""

    items: list[MyArtist] = Field(
        description="The artists: followed ones in Spotify's order, then those chosen by hand, the "
        "latest choice first."
    )
    count: int = Field(description="Number of items on this page.")
    total: int = Field(description="Number of items on all pages.")
    limit: int = Field(description="The requested limit.")
    offset: int = Field(description="Number of items skipped.")
    href: str = Field(description="Absolute URL of this page.")
    next: str | None = Field(description="Absolute URL of the next page, or null.")
    previous: str | None = Field(description="Absolute URL of the previous page, or null.")
    followed: int = Field(description="How many artists are followed on Spotify.")
    watched: int = Field(description="How many artists are watched by hand.")
    ignored: int = Field(description="How many artists are ignored.")
    wanted: int = Field(
        description="How many artists' releases the caller gets: followed or watched, not ignored."
    )
    checked: int = Field(description="How many of the wanted artists have been looked up.")
    checked_within_a_week: int = Field(description="How many of them in the last seven days.")
    failing: int = Field(description="How many of them could not be looked up the last time.")
    calls_a_day: int = Field(
        description="How many calls to Spotify look-ups may make in 24 hours, for all owners."
    )
    days_between_checks: float = Field(
        description="The mean number of days between two look-ups of an artist."
    )
    next_check_at: datetime | None = Field(
        description="When the next of the wanted artists is looked up."
    )
    spotify_list: FollowedList = Field(description="The state of the account's list on Spotify.")


class LineNotUnderstood(Shape):
    """A line of an import that names no artist."""

    line: int = Field(description="Its number, from 1.")
    text: str = Field(description="Its text, cut off with … after 100 characters.")
    reason: str = Field(description="Why it was not understood.")


class ImportResult(Shape):
    """What an import has brought."""

    artists: int = Field(description="How many artists the body names.")
    newly_watched: int = Field(description="How many of them were not watched before.")
    lines_not_understood: int = Field(description="How many lines were not understood.")
    not_understood: list[LineNotUnderstood] = Field(description="The first 1,000 of them.")
