"""What a request asks for: parsed, checked and brought to a normal form once. Pure."""

from datetime import date
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar
from urllib.parse import parse_qsl, urlencode

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from server.catalog.parameters import (
    LISTED_ON,
    ORDER,
    RELEASE_LIMIT,
    Day,
    Limit,
    Market,
    Offset,
    PartialDate,
    ReleaseLimit,
    Search,
    choices,
    comma_list,
)
from server.catalog.schemas import Artist
from server.errors import InvalidParameters, ParameterFault
from server.request_errors import UriTooLong

MAX_QUERY_LENGTH = 4096  # characters
SHOWN = 100  # characters of a wrong value that an error repeats
ARTIST_FIELDS = tuple(Artist.model_fields)

AlbumType = Literal["album", "single", "ep", "compilation"]
Exclusion = Literal["various_artists", "versions"]
Upcoming = Literal["exclude", "include", "only"]
Extra = Literal["markets"]
Sort = Literal["released", "-released", "seen", "-seen", "name", "-name"]
ArtistField = Literal[ARTIST_FIELDS]  # type: ignore[valid-type]


class ReleaseQuery(BaseModel):
    """The parameters of everything that lists releases, or what belongs to them, under `path`.

    `usual` is how many releases a list has that neither `release_limit` nor a page bounds.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    path: ClassVar[str]
    usual: ClassVar[int] = 20

    release_limit: ReleaseLimit | None = Field(None, description=RELEASE_LIMIT.format(usual=20))
    limit: Limit | None = Field(None, description="Maximum number of items; default: all.")
    offset: Offset | None = Field(None, description="Number of items to skip; default: 0.")
    type: Annotated[tuple[AlbumType, ...], choices(AlbumType)] = Field(
        (),
        description="Comma-separated types to include; default: all. A list of types leaves out "
        "releases whose type is unknown.",
    )
    exclude: Annotated[tuple[Exclusion, ...], choices(Exclusion)] = Field(
        (),
        description="Comma-separated list of what to leave out. `various_artists`: releases that "
        "are credited to Various Artists; `versions`: all versions of a release but one (deluxe, "
        "explicit, remastered, sped up and the like, of the same year).",
    )
    upcoming: Upcoming = Field(
        "exclude",
        description="What to do with releases whose release day (UTC) is after today, also with "
        "`at`: `exclude` them, `include` them, or list `only` them. A date without a day is "
        "upcoming until its month or year begins.",
    )
    released_after: PartialDate | None = Field(
        None,
        description="Earliest release date, inclusive: YYYY, YYYY-MM or YYYY-MM-DD. A release "
        "dated only 2026 matches any day of 2026.",
    )
    released_before: PartialDate | None = Field(
        None, description="Latest release date, inclusive; written as in `released_after`."
    )
    market: Market | None = Field(
        None,
        description="Country code; keeps releases available there and those whose markets are "
        "unknown. ISO 3166-1 alpha-2, or XK. All releases match if Spotify reports no markets to "
        "this server.",
    )
    at: Day | None = Field(None, description=LISTED_ON)
    q: Search = Field(
        None,
        description="Text in the name of a release or artist, 1 to 100 characters; ignores case, "
        "accents and spaces.",
    )
    sort: Sort = Field("-released", description=ORDER)
    include: Annotated[tuple[Extra, ...], choices(Extra)] = Field(
        (), description="`markets` adds `available_markets` to each release."
    )

    @model_validator(mode="after")
    def _in_normal_form(self) -> Self:
        """Drop what changes nothing: no items to skip, the usual number of releases."""
        changes: dict[str, None] = {}
        if self.offset == 0 and (self.limit or self.release_limit):
            changes["offset"] = None
        if self.release_limit == self.usual and not (self.limit or self.offset):
            changes["release_limit"] = None
        return self.model_copy(update=changes) if changes else self

    @property
    def bound(self) -> int | None:
        """The greatest number of releases listed, on all pages; None for all that are held."""
        if self.limit is None and self.offset is None and self.release_limit is None:
            return self.usual
        return self.release_limit

    @property
    def start(self) -> int:
        """The number of items to skip."""
        return self.offset or 0

    @property
    def href(self) -> str:
        """The normal form: what was understood, without defaults, in a fixed order."""
        values = {
            name: ",".join(value) if isinstance(value, tuple) else value
            for name, value in self.model_dump(exclude_defaults=True).items()
        }
        return self.path + ("?" + urlencode(values, safe=",") if values else "")

    def page(self, offset: int, limit: int) -> Self:
        """Another page of the same query."""
        return self.model_copy(update={"offset": offset or None, "limit": limit})


class ArtistsQuery(ReleaseQuery):
    """The parameters of `GET /api/artists/`."""

    path: ClassVar[str] = "/api/artists/"

    fields: Annotated[tuple[ArtistField, ...], comma_list(ARTIST_FIELDS)] = Field(
        (), description="Comma-separated fields of an artist; default: all."
    )


class AlbumsQuery(ReleaseQuery):
    """The parameters of `GET /api/albums/`."""

    path: ClassVar[str] = "/api/albums/"


class FeedQuery(AlbumsQuery):
    """The parameters of every feed, which lists what was seen last, so that no reader misses it."""

    usual: ClassVar[int] = 50

    release_limit: ReleaseLimit | None = Field(None, description=RELEASE_LIMIT.format(usual=50))
    sort: Sort = Field("-seen", description=ORDER)


class AtomQuery(FeedQuery):
    """The parameters of `GET /feeds/albums.atom`."""

    path: ClassVar[str] = "/feeds/albums.atom"


class JsonFeedQuery(FeedQuery):
    """The parameters of `GET /feeds/albums.json`."""

    path: ClassVar[str] = "/feeds/albums.json"


class CalendarQuery(FeedQuery):
    """The parameters of `GET /feeds/albums.ics`."""

    path: ClassVar[str] = "/feeds/albums.ics"


class TableQuery(FeedQuery):
    """The parameters of `GET /feeds/albums.csv`."""

    path: ClassVar[str] = "/feeds/albums.csv"


FEEDS: tuple[type[ReleaseQuery], ...] = (AtomQuery, JsonFeedQuery, CalendarQuery, TableQuery)
ALL: tuple[type[ReleaseQuery], ...] = (ArtistsQuery, AlbumsQuery, *FEEDS)
KINDS = {each.path: each for each in ALL}
AnyQuery = TypeVar("AnyQuery", bound=BaseModel)


def of_href(href: str) -> ReleaseQuery:
    """The query that has this normal form."""
    path, _, query_string = href.partition("?")
    return parse(KINDS[path], query_string)


def depends_on_today(query: ReleaseQuery) -> bool:
    """Tell whether the answer to `query` can differ from one day (UTC) to the next.

    Such an answer is good until the next midnight (UTC) at the latest, whatever the data does.
    """
    return query.upcoming != "include"


def check_length(query_string: str) -> None:
    """Refuse a query string that is longer than any has to be. Raises UriTooLong."""
    if len(query_string) > MAX_QUERY_LENGTH:
        raise UriTooLong(f"The query string may have at most {MAX_QUERY_LENGTH} characters.")


def parse(
    kind: type[AnyQuery], query_string: str, today: date | None = None, since: date | None = None
) -> AnyQuery:
    """Read a raw query string. Unknown names are ignored.

    No day after `today` or before `since` may be asked for; None sets no bound. Raises
    InvalidParameters naming every fault, or UriTooLong.
    """
    check_length(query_string)
    given: dict[str, str] = {}
    faults: list[ParameterFault] = []
    for name, value in parse_qsl(query_string, keep_blank_values=True, errors="replace"):
        if name in given:
            faults.append(ParameterFault(name, value[:SHOWN], "is given more than once"))
        elif name in kind.model_fields:
            given[name] = value
    try:
        query = kind.model_validate(given, context={"today": today, "since": since})
    except ValidationError as error:
        reasons: dict[str, str] = {}
        for detail in error.errors():
            reasons.setdefault(str(detail["loc"][0]), _reason(detail))
        faults += [ParameterFault(name, given[name][:SHOWN], reasons[name]) for name in reasons]
    if faults:
        order = list(kind.model_fields)
        raise InvalidParameters(sorted(faults, key=lambda fault: order.index(fault.parameter)))
    return query


def _reason(detail: Any) -> str:
    said = detail["ctx"]["error"] if detail["type"] == "value_error" else detail["msg"]
    return str(said).replace("Input should be", "must be")
