"""Parsers and types of single query parameters; a ValueError says what is wrong. Pure."""

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, get_args

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, WithJsonSchema

from server.catalog.schemas import ID, KIND
from server.catalog.snapshot import HELD, MAX_RELEASE_LIMIT
from server.catalog.titles import folded
from server.catalog.zones import NAME, day_in, zone
from server.countries import PATTERN, country
from server.errors import ParameterFault

DATE = re.compile(r"\d{4}(-\d\d(-\d\d)?)?", re.ASCII)
MAX_SEARCH_LENGTH = 100  # characters
MAX_CURSOR_LENGTH = 1200  # characters
RELEASE_LIMIT = (
    "Maximum number of releases, taken in the requested order after all filters. Default: {usual}; "
    "with `limit` or `cursor`, all that are kept; with `offset`, all in memory (see `sort`). It "
    "cannot be combined with `cursor`."
)
CURSOR = (
    "Where the page before ended: take it from its `next`, and change nothing else but `limit` "
    "(default: 100), `fields` and `include`. Pages with a cursor go through everything that is "
    "kept, as it was when the first page was made: each release comes once, however many syncs "
    "change the list meanwhile. A page may have fewer items than `limit`, even none: go on while "
    "`next` is not null. A cursor is valid for 7 days after the first page was made."
)
SKIPPED = (
    "Number of items to skip of those in memory; default: 0. Everything is reached by `cursor`, "
    "with which it cannot be combined."
)
OF_TYPES = (
    "Comma-separated types to include, as reported by Spotify (`album_type`); default: all. A list "
    "of types leaves out releases whose type is unknown."
)
OF_KINDS = (
    "Comma-separated kinds to include, as listeners know them; default: all. The `kind` of a "
    f"release is its {KIND}"
)
OF_ARTISTS = (
    "Comma-separated Spotify ids of artists: only their releases, of all that are stored; if these "
    "are over 1000, a list without `limit` and `cursor` has only the newest 1000 and, for `seen`, "
    "the 1000 first seen last. A list of artists has no others."
)
LEFT_OUT = (
    "Comma-separated list of what to leave out. `various_artists`: releases that are credited to "
    "Various Artists; `versions`: all versions of a release but one (deluxe, explicit, remastered, "
    "sped up and the like, of the same year)."
)
TO_COME = (
    "What to do with releases whose day (in `tz`) has not come, also with `at`: `exclude` them, "
    "`include` them, or list `only` them. A date without a day is upcoming until its month or year "
    "begins."
)
IN_MARKET = (
    "Country code; keeps releases available there and those whose markets are unknown. ISO 3166-1 "
    "alpha-2, or XK. All releases match if Spotify reports no markets to this server."
)
EARLIEST = (
    "Earliest release date, inclusive: YYYY, YYYY-MM or YYYY-MM-DD. A release dated only 2026 "
    "matches any day of 2026."
)
LAST_DAYS = (
    "Only releases of the last so many days, today (in `tz`) included: the same as "
    "`released_after` with the first of these days. To list releases after today too, add "
    "`upcoming=include`."
)
SEARCHED = (
    "Text in the name of a release or artist, 1 to 100 characters; ignores case, accents and "
    "spaces."
)
LISTED_ON = (
    "A day (in `tz`) from `watched_since` in `/api/status` to today; returns the releases listed "
    "on it."
)
MAX_DAYS = 90
MAX_ARTISTS = 50
ORDER = (
    "Order of the items; a leading `-` means descending. `released`: by release date "
    "(`2026-11-20` after `2026-11` after `2026`), then by when Freshet first saw the release, by "
    "position in Spotify's list and by `spotify_id`. `seen`: by when Freshet first saw the "
    "release, then by position and `spotify_id`; if upcoming releases are excluded, one that was "
    "seen before its release day counts as first seen when that day begins (in `tz`). `name`: "
    "alphabetically, ignoring case and accents. Artists are sorted by their releases or, with "
    f"`name`, by their own names. With `limit` and without `offset` and `release_limit` they cover "
    f"everything. Otherwise `released` and `name` cover the newest {HELD.overall} releases, "
    f"`seen` the {HELD.overall} that were added last; with `type`, at least {HELD.of_type} of "
    "those types; with `kind`, those among the releases of its types (for `ep` these are `ep` and "
    "`single`, for `album` they are `album` and `single`). All of them also cover the "
    f"{HELD.overall} nearest upcoming releases."
)


class DayOutOfReach(ValueError):
    """A day that cannot be requested; `nearest` is the one that can be, as YYYY-MM-DD."""

    def __init__(self, reason: str, nearest: date) -> None:
        super().__init__(reason)
        self.nearest = nearest.isoformat()


def digits(value: Any) -> Any:
    """Accept plain digits only; int() would also take `+5`, ` 5`, `1_000` and `٥`."""
    if isinstance(value, str) and not (value.isascii() and value.isdigit() and len(value) <= 18):
        raise ValueError("must be an integer in plain digits")
    return value


def comma_list(names: tuple[str, ...]) -> BeforeValidator:
    """Return a parser of comma-separated values; its result has the order of `names`, each once."""
    order = {name: place for place, name in enumerate(names)}

    def read(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return tuple(sorted(set(value.split(",")), key=lambda name: (order.get(name, -1), name)))

    return BeforeValidator(read)


def choices(literal: Any) -> BeforeValidator:
    """Return a parser of comma-separated values of a Literal."""
    return comma_list(get_args(literal))


def _part_of_a_date(value: Any) -> Any:
    if isinstance(value, str):
        complete = value + "-01-01"[len(value) - 4 :] if DATE.fullmatch(value) else ""
        try:
            date.fromisoformat(complete)
        except ValueError:
            raise ValueError("must be a date: YYYY, YYYY-MM or YYYY-MM-DD") from None
    return value


def _day(value: Any) -> Any:
    if isinstance(value, str) and len(value) != 10:
        raise ValueError("must be a day: YYYY-MM-DD")
    return _part_of_a_date(value)


def _known(value: str, info: ValidationInfo) -> str:
    """Refuse a day after today, or before the first one with listings, each if it is known.

    The context has the time `now` and `watched_since`. A zone that is wrong is a fault by itself.
    """
    context, name = info.context or {}, info.data.get("tz")
    now: datetime | None = context.get("now")
    since: datetime | None = context.get("watched_since")
    if now is None or name is None:
        return value
    today = day_in(now, zone(name))
    if value > today.isoformat():
        raise DayOutOfReach(f"must not be after today ({today} in {name})", today)
    first = today if since is None else min(day_in(since, zone(name)), today)
    if since is not None and value < first.isoformat():
        reason = f"must not be before {first} ({name}), the first day that Freshet has recorded"
        raise DayOutOfReach(reason, first)
    return value


def _zone(value: Any) -> Any:
    if isinstance(value, str):
        zone(value)
    return value


def _cursor(value: Any) -> Any:
    if isinstance(value, str) and not re.fullmatch("[A-Za-z0-9_-]+", value):
        raise ValueError("must be a cursor from the `next` of a page")
    return value


def conflicts(given: Mapping[str, str]) -> list[ParameterFault]:
    """Return the faults of parameters that a cursor excludes, since they select other items."""
    reason = "cannot be combined with cursor: leave it out, or leave out cursor"
    if "cursor" not in given:
        return []
    excluded = [name for name in ("release_limit", "offset") if given.get(name, "").strip("0")]
    return [ParameterFault(name, given[name], reason) for name in excluded]


def _artists(value: Any) -> Any:
    """Parse Spotify ids of artists; the result is sorted, each once."""
    if not isinstance(value, str):
        return value
    given = value.split(",")
    ids = sorted(set(given))
    if not all(re.fullmatch(ID, each) for each in ids):
        raise ValueError("must be a comma-separated list of Spotify ids, each of 22 characters")
    if len(given) > MAX_ARTISTS:
        raise ValueError(f"must not have more than {MAX_ARTISTS} ids")
    return tuple(ids)


def _market(value: Any) -> Any:
    return country(value) if isinstance(value, str) else value


def searchable(text: str) -> str:
    """Normalise text for the search: no case, accents or width, and single spaces."""
    return " ".join(folded(text).split())


def _search(value: Any) -> Any:
    """Normalise a search, so that all spellings of it are one query; None if only spaces remain.

    A text that would become too long stays as it is: some letters fold to eighteen.
    """
    if not isinstance(value, str):
        return value
    if not 1 <= len(value) <= MAX_SEARCH_LENGTH:
        raise ValueError(f"must have 1 to {MAX_SEARCH_LENGTH} characters")
    words = searchable(value)
    return (words if len(words) <= MAX_SEARCH_LENGTH else value) or None


def _described(**schema: Any) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", **schema})


ARTIST_IDS = {
    "type": "array",
    "items": {"type": "string", "pattern": ID},
    "maxItems": MAX_ARTISTS,
}


WholeNumber = Annotated[int, BeforeValidator(digits)]
ReleaseLimit = Annotated[int, Field(ge=1, le=MAX_RELEASE_LIMIT), BeforeValidator(digits)]
Limit = Annotated[int, Field(ge=1, le=500), BeforeValidator(digits)]
Offset = Annotated[int, Field(ge=0, le=1_000_000), BeforeValidator(digits)]
Cursor = Annotated[
    str,
    Field(min_length=1, max_length=MAX_CURSOR_LENGTH),
    BeforeValidator(_cursor),
    _described(pattern="^[A-Za-z0-9_-]+$", maxLength=MAX_CURSOR_LENGTH),
]
# For the API description, which allows 28 days in February; the parser also accepts 29.
MONTHS = "|".join(
    (
        "(0[13578]|1[02])(-(0[1-9]|[12][0-9]|3[01]))?",
        "(0[469]|11)(-(0[1-9]|[12][0-9]|30))?",
        "02(-(0[1-9]|1[0-9]|2[0-8]))?",
    )
)
PartialDate = Annotated[
    str, BeforeValidator(_part_of_a_date), _described(pattern=f"^[1-9][0-9]{{3}}(-({MONTHS}))?$")
]
Day = Annotated[str, BeforeValidator(_day), AfterValidator(_known), _described(format="date")]
Artists = Annotated[tuple[str, ...], BeforeValidator(_artists), WithJsonSchema(ARTIST_IDS)]
Days = Annotated[int, Field(ge=1, le=MAX_DAYS), BeforeValidator(digits)]
Zone = Annotated[str, BeforeValidator(_zone), _described(pattern=f"^{NAME.pattern}$")]
Market = Annotated[str, BeforeValidator(_market), _described(pattern=PATTERN)]
Search = Annotated[
    str | None, BeforeValidator(_search), _described(minLength=1, maxLength=MAX_SEARCH_LENGTH)
]
