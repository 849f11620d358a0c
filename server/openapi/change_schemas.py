"""Schemas of the journal, for the description of the API. Pure.

The docstrings and descriptions are shown in the API documentation.
"""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from server.catalog.schemas import KIND, Album, Credit, Problem, Shape


class ChangedField(Shape):
    """The old and the new value of a field, of any type."""

    old: Any = Field(description="Value before the change.")
    new: Any = Field(description="Value after the change.")


class ReleaseSummary(Shape):
    """A release in brief, as it was when it changed: enough for a notification."""

    name: str = Field(description="The title, cut off with … after 200 characters.")
    artists: list[Credit] = Field(
        max_length=20,
        description="The first 20 credited artists, their names cut off in the same way.",
    )
    kind: str | None = Field(description=KIND)
    release_date: str | None = Field(description="YYYY, YYYY-MM or YYYY-MM-DD.")
    url: str | None = Field(description="The page of the release on Spotify.")
    image: str | None = Field(
        description="URL of the cover: the narrowest image of 250 pixels or more (usually 300), "
        "or else the widest."
    )


class Change(Shape):
    """An entry of the journal."""

    seq: int = Field(description="Position in the journal; always increasing.")
    kind: Literal["added", "found", "updated", "gone", "deleted"] = Field(
        description="`added`: it entered its first list; `found`: it is older and was stored for "
        "an artist that an owner follows or watches; `updated`: a field changed; `gone`: it left "
        "its last list; `deleted`: Freshet deleted it. More may be added."
    )
    at: datetime = Field(description="When the change was recorded.")
    album: str = Field(
        description="Spotify's id of the release; valid even after it was deleted here."
    )
    release: ReleaseSummary | None = Field(
        description="Null in entries from before version 0.2 whose release has been deleted."
    )
    detail: dict[str, ChangedField] = Field(
        description="The changed fields of an update. `artist_names` has the names of artists that "
        "changed, by Spotify's id."
    )
    stored: Album | None = Field(
        None,
        description="With `include=stored`: the release as `/api/albums/` lists it now; null if it "
        "is no longer stored.",
    )


class ChangesPage(Shape):
    """A page of the journal."""

    items: list[Change] = Field(description="Oldest first.")
    place: str = Field(
        description="Place in the journal after these changes: the value of `after` for the next "
        "request."
    )
    next_after: int = Field(
        description="The number that `place` starts with. As a value of `after` it does not show "
        "that the database was restored from a backup."
    )
    up_to_date: bool = Field(description="True if the journal has no changes after `place`.")


class OutOfReach(Problem):
    """The problem `journal-out-of-reach`: the range of the journal, and where to start again."""

    oldest: int | None = Field(description="The oldest stored change; null if none.")
    newest: int = Field(description="The newest change.")
    begin_after: int = Field(
        description="The newest change, as a value of `after`; better is the `place` of the list "
        "that has been fetched again."
    )
