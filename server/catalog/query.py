"""What a request asks for: parsed, checked and brought to a normal form once. Pure."""

from datetime import date
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar
from urllib.parse import parse_qsl, urlencode

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from server.catalog.parameters import (
    Day,
    Market,
    PartialDate,
    Search,
    WholeNumber,
    choices,
    comma_list,
    digits,
)
from server.catalog.schemas import ArtistShape
from server.catalog.snapshot import DEPTH
from server.errors import InvalidParameters, ParameterFault, UriTooLong

MAX_QUERY_LENGTH = 4096  # characters
WALL_PAGE = 48  # releases
SHOWN = 100  # characters of a wrong value that an error repeats
ARTIST_FIELDS = tuple(ArtistShape.model_fields)

AlbumType = Literal["album", "single", "ep", "compilation"]
Exclusion = Literal["various_artists", "versions"]
Upcoming = Literal["exclude", "include", "only"]
Extra = Literal["markets"]
Sort = Literal["released", "-released", "seen", "-seen", "name", "-name"]
ArtistField = Literal[ARTIST_FIELDS]  # type: ignore[valid-type]


class ReleaseQuery(BaseModel):
    """The parameters of everything that lists releases, or what belongs to them, under `path`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    path: ClassVar[str]

    release_limit: WholeNumber = Field(
        20, ge=1, le=DEPTH, description="The latest N releases (of those wanted)."
    )
    limit: Annotated[int, Field(ge=1, le=500), BeforeValidator(digits)] | None = Field(
        None, description="At most so many items; all when not given."
    )
    offset: WholeNumber = Field(0, ge=0, le=1_000_000, description="Skip so many items.")
    type: Annotated[tuple[AlbumType, ...], choices(AlbumType)] = Field(
        (), description="Comma list of wanted types; all, even unknown ones, when not given."
    )
    exclude: Annotated[tuple[Exclusion, ...], choices(Exclusion)] = Field(
        (),
        description="Comma list of what is left out: releases by Various Artists; all versions of "
        "a release but one (deluxe, explicit, remastered, sped up and the like, of one year).",
    )
    upcoming: Upcoming = Field(
        "exclude",
        description="Releases whose day (UTC) has not come yet: exclude, include, or only them. "
        "A date without a day counts as upcoming until its month or year begins.",
    )
    released_after: PartialDate | None = Field(
        None,
        description="YYYY, YYYY-MM or YYYY-MM-DD, inclusive, compared at the coarser precision.",
    )
    released_before: PartialDate | None = Field(None, description="As released_after.")
    market: Market | None = Field(
        None,
        description="Country code (ISO 3166-1 alpha-2, or XK); keeps releases available there and "
        "those whose markets are unknown: all of them, if Spotify tells this server none.",
    )
    at: Day | None = Field(
        None,
        description="A day (UTC), today at the latest: the releases that were listed on it, not "
        "the latest.",
    )
    q: Search = Field(
        None,
        description="Part of an artist's or album's name, 1 to 100 characters; case, accents and "
        "blanks do not count, and alone look for nothing.",
    )
    sort: Sort = Field("-released", description="Order of the items; - is descending.")
    include: Annotated[tuple[Extra, ...], choices(Extra)] = Field(
        (), description="markets adds available_markets to each release."
    )

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
        return self.model_copy(update={"offset": offset, "limit": limit})


class ArtistsQuery(ReleaseQuery):
    """The parameters of `GET /api/artists/`."""

    path: ClassVar[str] = "/api/artists/"

    fields: Annotated[tuple[ArtistField, ...], comma_list(ARTIST_FIELDS)] = Field(
        (), description="Comma list of the fields of an artist; all when not given."
    )


class AlbumsQuery(ReleaseQuery):
    """The parameters of `GET /api/albums/`."""

    path: ClassVar[str] = "/api/albums/"


class AtomQuery(AlbumsQuery):
    """The parameters of `GET /feeds/albums.atom`."""

    path: ClassVar[str] = "/feeds/albums.atom"


class JsonFeedQuery(AlbumsQuery):
    """The parameters of `GET /feeds/albums.json`."""

    path: ClassVar[str] = "/feeds/albums.json"


class CalendarQuery(AlbumsQuery):
    """The parameters of `GET /feeds/albums.ics`."""

    path: ClassVar[str] = "/feeds/albums.ics"


class TableQuery(AlbumsQuery):
    """The parameters of `GET /feeds/albums.csv`."""

    path: ClassVar[str] = "/feeds/albums.csv"


class WallQuery(AlbumsQuery):
    """The parameters of `GET /`: those of `/api/albums/`, but pages of many releases."""

    path: ClassVar[str] = "/"

    release_limit: WholeNumber = Field(DEPTH, ge=1, le=DEPTH)
    limit: Annotated[int, Field(ge=1, le=500), BeforeValidator(digits)] = WALL_PAGE


FEEDS: tuple[type[ReleaseQuery], ...] = (AtomQuery, JsonFeedQuery, CalendarQuery, TableQuery)


class ChangesQuery(BaseModel):
    """The parameters of `GET /api/changes/`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    after: WholeNumber = Field(
        0, ge=0, le=2**53, description="The number of the last change that is known already."
    )
    limit: WholeNumber = Field(100, ge=1, le=1000, description="At most so many changes.")


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
        raise UriTooLong(f"The query string may have {MAX_QUERY_LENGTH} characters.")


def parse(kind: type[AnyQuery], query_string: str, today: date | None = None) -> AnyQuery:
    """Read a raw query string. Unknown names are ignored.

    No day after `today` may be asked for; None is for what has been checked already. Raises
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
        query = kind.model_validate(given, context={"today": today})
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
    if detail["type"] == "value_error":
        return str(detail["ctx"]["error"])
    return str(detail["msg"]).replace("Input should be", "must be")
