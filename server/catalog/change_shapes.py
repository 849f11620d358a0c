"""The shapes of what is told of changes and syncs, for the description of the API. Pure."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from server.catalog.schemas import Shape


class FieldChangeShape(Shape):
    """A field of a release before and after."""

    old: Any
    new: Any


class ChangeShape(Shape):
    """What happened to a release; gone from every list, or deleted when not seen for long."""

    seq: int = Field(description="Only grows.")
    kind: Literal["added", "updated", "gone", "deleted"]
    at: datetime
    album: str = Field(pattern="^[0-9A-Za-z]{22}$", description="Spotify's id.")
    detail: dict[str, FieldChangeShape] = Field(description="By field, for an update.")


class ChangesPage(Shape):
    """The changes after a seq, in order."""

    items: list[ChangeShape]
    next_after: int = Field(description="What to ask with next, as `after`.")


class SyncStarted(Shape):
    """A sync has begun; the log and /api/status tell how it ends."""

    status: Literal["started"]
