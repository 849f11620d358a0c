"""Query parameters of lists: parsed, validated and brought to a normal form. Pure."""

from datetime import date, datetime, tzinfo
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self, TypeVar
from urllib.parse import parse_qsl, urlencode

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from server.catalog.parameters import (
    CURSOR,
    EARLIEST,
    IN_MARKET,
    LAST_DAYS,
    LEFT_OUT,
    LISTED_ON,
    OF_ARTISTS,
    OF_KINDS,
    OF_TYPES,
    ORDER,
    RELEASE_LIMIT,
    SEARCHED,
    SKIPPED,
    TO_COME,
    Artists,
    Cursor,
    Day,
    DayOutOfReach,
    Days,
    Limit,
    Market,
    Offset,
    PartialDate,
    ReleaseLimit,
    Search,
    Zone,
    choices,
    comma_list,
    conflicts,
)
from server.catalog.schemas import Artist
from server.catalog.zones import zone
from server.errors import InvalidParameters, ParameterFault
from server.request_errors import UriTooLong

MAX_QUERY_LENGTH = 4096  # characters
ARTIST_FIELDS = tuple(Artist.model_fields)

AlbumType = Literal["album", "single", "ep", "compilation"]
Kind = Literal["single", "ep", "album", "compilation"]
Exclusion = Literal["various_artists", "versions"]
Upcoming = Literal["exclude", "include", "only"]
Extra = Literal["markets"]
Sort = Literal["released", "-released", "seen", "-seen", "name", "-name"]
ArtistField = Literal[ARTIST_FIELDS]  # type: ignore[valid-type]


class Portion(NamedTuple):
    """What a list needs besides the snapshot in memory, so that it is read from the database.

    It is the releases that were listed on a day, `at` (YYYY-MM-DD) in the zone `tz`, or else all
    releases of `artists`, which are ids of Spotify's.
    """

    at: str | None = None
    tz: str = "UTC"
    artists: tuple[str, ...] = ()


class ReleaseQuery(BaseModel):
    """The parameters of every list of releases or of their artists, under `path`.

    `usual` is the number of releases in a list without `release_limit`, `limit` and `offset`.
    `title` and `home` are the title of a feed and the path of the page that shows the same.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    path: ClassVar[str]
    usual: ClassVar[int] = 20
    title: ClassVar[str] = "New releases on Spotify"
    home: ClassVar[str] = "/"
    is_feed: ClassVar[bool] = False

    release_limit: ReleaseLimit | None = Field(None, description=RELEASE_LIMIT.format(usual=20))
    limit: Limit | None = Field(None, description="Maximum number of items; default: all.")
    offset: Offset | None = Field(None, description=SKIPPED)
    cursor: Cursor | None = Field(None, description=CURSOR)
    type: Annotated[tuple[AlbumType, ...], choices(AlbumType)] = Field((), description=OF_TYPES)
    kind: Annotated[tuple[Kind, ...], choices(Kind)] = Field((), description=OF_KINDS)
    artist: Artists = Field((), description=OF_ARTISTS)
    exclude: Annotated[tuple[Exclusion, ...], choices(Exclusion)] = Field((), description=LEFT_OUT)
    upcoming: Upcoming = Field("exclude", description=TO_COME)
    released_after: PartialDate | None = Field(None, description=EARLIEST)
    released_before: PartialDate | None = Field(
        None, description="Latest release date, inclusive; written as in `released_after`."
    )
    days: Days | None = Field(None, description=LAST_DAYS)
    tz: Zone = Field("UTC", description="IANA time zone in which days begin, such as Asia/Tokyo.")
    market: Market | None = Field(None, description=IN_MARKET)
    at: Day | None = Field(None, description=LISTED_ON)
    q: Search = Field(None, description=SEARCHED)
    sort: Sort = Field("-released", description=ORDER)
    include: Annotated[tuple[Extra, ...], choices(Extra)] = Field(
        (), description="`markets` adds `available_markets` to each release."
    )

    @model_validator(mode="after")
    def _in_normal_form(self) -> Self:
        """Drop parameters without effect: an offset of 0, the usual number, a zone of no day."""
        changes: dict[str, str | None] = {}
        if self.offset == 0 and (self.limit or self.release_limit or self.cursor):
            changes["offset"] = None
        if self.release_limit == self.usual and not (self.limit or self.offset):
            changes["release_limit"] = None
        if self.tz != "UTC" and not (_selects_by_day(self) or self.at):
            changes["tz"] = "UTC"
        return self.model_copy(update=changes) if changes else self

    @property
    def zone(self) -> tzinfo:
        """The time zone in which days begin."""
        return zone(self.tz)

    @property
    def portion(self) -> Portion | None:
        """The portion that the list is made of; None for the snapshot in memory."""
        if self.at is not None:
            return Portion(self.at, self.tz)
        return Portion(artists=self.artist) if self.artist else None

    def first_day(self, today: date) -> str | None:
        """Return the first of the last `days` days, in the form of `released_after`, if any."""
        if self.days is None:
            return None
        return date.fromordinal(max(today.toordinal() - self.days + 1, 1)).isoformat()

    @property
    def bound(self) -> int | None:
        """The maximum number of releases on all pages together; None for all in memory."""
        given = self.limit, self.offset, self.cursor, self.release_limit
        return self.usual if all(each is None for each in given) else self.release_limit

    @property
    def reads_everything(self) -> bool:
        """Whether the list is a page of all that is kept, and its `next` has a cursor."""
        paged = self.limit is not None or self.cursor is not None
        return paged and self.offset is None and self.release_limit is None

    @property
    def leads_on(self) -> bool:
        """Whether it is the address of a feed, whose `next` goes through all that is kept."""
        return self.is_feed and self.bound == self.usual

    @property
    def binding(self) -> str:
        """The normal form of what decides which items there are, and their order."""
        shown = {"cursor": None, "limit": None, "include": (), "fields": ()}
        changes = {name: value for name, value in shown.items() if name in type(self).model_fields}
        return self.model_copy(update=changes).href

    @property
    def start(self) -> int:
        """The number of items to skip."""
        return self.offset or 0

    @property
    def href(self) -> str:
        """The normal form: the recognised parameters without defaults, in a fixed order."""
        values = {
            name: ",".join(value) if isinstance(value, tuple) else value
            for name, value in self.model_dump(exclude_defaults=True).items()
        }
        return self.path + ("?" + urlencode(values, safe=",/") if values else "")

    def page(self, offset: int, limit: int) -> Self:
        """Return the query of another page."""
        return self.model_copy(update={"offset": offset or None, "limit": limit})

    def after(self, cursor: str | None) -> Self:
        """Return the query of the page that begins at a cursor, or of the first one."""
        return self.model_copy(update={"cursor": cursor})


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
    """The parameters of every feed; lists what was added last, so that no reader misses any."""

    usual: ClassVar[int] = 50
    is_feed: ClassVar[bool] = True

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


def parse_href(href: str) -> ReleaseQuery:
    """Parse a normal form. Raises KeyError for an unknown path, else what `parse` raises."""
    path, _, query_string = href.partition("?")
    return parse(KINDS[path], query_string)


def depends_on_today(query: ReleaseQuery) -> bool:
    """Return whether the response to `query` can differ from one day to the next.

    Such a response is valid until midnight, in the zone of `query`; cursors in it hold the day.
    """
    return _selects_by_day(query) or query.reads_everything or query.leads_on


def _selects_by_day(query: ReleaseQuery) -> bool:
    return query.upcoming != "include" or query.days is not None


def check_length(query_string: str) -> None:
    """Raise UriTooLong for a query string of more than MAX_QUERY_LENGTH characters."""
    if len(query_string) > MAX_QUERY_LENGTH:
        raise UriTooLong(f"The query string may have at most {MAX_QUERY_LENGTH} characters.")


def parse(
    kind: type[AnyQuery],
    query_string: str,
    now: datetime | None = None,
    watched_since: datetime | None = None,
) -> AnyQuery:
    """Parse a raw query string; unknown names are ignored.

    The days that may be requested are those from `watched_since` to `now`; None sets no bound.
    Raises InvalidParameters with every fault, or UriTooLong.
    """
    check_length(query_string)
    given: dict[str, str] = {}
    faults: list[ParameterFault] = []
    for name, value in parse_qsl(query_string, keep_blank_values=True, errors="replace"):
        if name in given:
            faults.append(ParameterFault(name, value, "is given more than once"))
        elif name in kind.model_fields:
            given[name] = value
    faults += conflicts(given)
    try:
        query = kind.model_validate(given, context={"now": now, "watched_since": watched_since})
    except ValidationError as error:
        details = {str(detail["loc"][0]): detail for detail in reversed(error.errors())}
        faults += [_fault(name, given[name], details[name]) for name in details]
    if faults:
        order = list(kind.model_fields)
        raise InvalidParameters(sorted(faults, key=lambda fault: order.index(fault.parameter)))
    return query


def _fault(name: str, value: str, detail: Any) -> ParameterFault:
    said = detail["ctx"]["error"] if detail["type"] == "value_error" else detail["msg"]
    reason = str(said).replace("Input should be", "must be")
    return ParameterFault(
        name, value, reason, said.nearest if isinstance(said, DayOutOfReach) else None
    )
