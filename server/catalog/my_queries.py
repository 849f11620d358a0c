"""Query parameters of the lists and feeds of an owner's artists: those of the public ones. Pure."""

from typing import ClassVar, Literal
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, Field

from server.catalog.parameters import Limit, Offset
from server.catalog.query import (
    AlbumsQuery,
    ArtistsQuery,
    AtomQuery,
    CalendarQuery,
    JsonFeedQuery,
    ReleaseQuery,
    TableQuery,
)

TITLE = "New releases of my artists"
HOME = "/my/"
ARTISTS_PAGE = 100  # artists

State = Literal["wanted", "followed", "watched", "ignored"]


class MyArtistsQuery(ArtistsQuery):
    """The parameters of `GET /api/my/artists/`."""

    path: ClassVar[str] = "/api/my/artists/"


class MyAlbumsQuery(AlbumsQuery):
    """The parameters of `GET /api/my/albums/`."""

    path: ClassVar[str] = "/api/my/albums/"


class MyAtomQuery(AtomQuery):
    """The parameters of `GET /feeds/my/albums.atom`."""

    path: ClassVar[str] = "/feeds/my/albums.atom"
    title: ClassVar[str] = TITLE
    home: ClassVar[str] = HOME


class MyJsonFeedQuery(JsonFeedQuery):
    """The parameters of `GET /feeds/my/albums.json`."""

    path: ClassVar[str] = "/feeds/my/albums.json"
    title: ClassVar[str] = TITLE
    home: ClassVar[str] = HOME


class MyCalendarQuery(CalendarQuery):
    """The parameters of `GET /feeds/my/albums.ics`."""

    path: ClassVar[str] = "/feeds/my/albums.ics"
    title: ClassVar[str] = TITLE
    home: ClassVar[str] = HOME


class MyTableQuery(TableQuery):
    """The parameters of `GET /feeds/my/albums.csv`."""

    path: ClassVar[str] = "/feeds/my/albums.csv"


MY_LISTS: tuple[type[ReleaseQuery], ...] = (MyArtistsQuery, MyAlbumsQuery)
MY_FEEDS: tuple[type[ReleaseQuery], ...] = (
    MyAtomQuery,
    MyJsonFeedQuery,
    MyCalendarQuery,
    MyTableQuery,
)


class FollowingQuery(BaseModel):
    """The parameters of `GET /api/my/following/`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    path: ClassVar[str] = "/api/my/following/"

    state: State | None = Field(
        None,
        description="Only these artists: `followed` (on Spotify), `watched` or `ignored` (by "
        "hand), or `wanted` (followed or watched, and not ignored); default: all.",
    )
    limit: Limit = Field(ARTISTS_PAGE, description="Maximum number of artists.")
    offset: Offset = Field(0, description="Number of artists to skip.")

    @property
    def href(self) -> str:
        """The normal form: the recognised parameters without defaults."""
        values = self.model_dump(exclude_defaults=True)
        return self.path + ("?" + urlencode(values) if values else "")
