"""The schemas of the journal, for the description of the API. Pure."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from server.catalog.schemas import Credit, Problem, Shape


class ChangedField(Shape):
    """A field before and after; of any type."""

    old: Any = Field(description="Its value before.")
    new: Any = Field(description="Its value after.")


class ReleaseSummary(Shape):
    """A release as it was when it changed: enough for a notification, within bounds."""

    name: str = Field(description="Ends in … after 200 characters.")
    artists: list[Credit] = Field(
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


class Change(Shape):
    """One entry of the journal."""

    seq: int = Field(description="The place in the journal; it only grows.")
    kind: Literal["added", "updated", "gone", "deleted"] = Field(
        description="It came into its first list, differs, left its last, or is no longer kept."
    )
    at: datetime = Field(description="When it was written.")
    album: str = Field(description="Spotify's id, which outlives the album here.")
    release: ReleaseSummary | None = Field(
        description="Null in entries from before version 0.2 whose album is no longer kept."
    )
    detail: dict[str, ChangedField] = Field(description="Of an update: the fields that differ.")


class ChangesPage(Shape):
    """A piece of the journal."""

    items: list[Change] = Field(description="Oldest first.")
    next_after: int = Field(description="What to ask for next as `after`.")
    up_to_date: bool = Field(description="True when nothing has been written after `next_after`.")


class OutOfReach(Problem):
    """The problem `journal-out-of-reach`: how far the journal reaches, and where to begin again."""

    oldest: int | None = Field(description="The oldest change that is kept; null when none is.")
    newest: int = Field(description="The newest change that was written.")
    begin_after: int = Field(
        description="What to ask for as `after` once all pages of /api/albums/ have been fetched."
    )
