"""Where the links of the wall lead: to other parts of it, to days gone by and to feeds. Pure."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any, ClassVar, NamedTuple, get_args

from handlers.pages.presenters.formatting import date_words
from server.catalog.parameters import Limit
from server.catalog.query import FEEDS, AlbumsQuery, AlbumType
from server.serving.feeds import FORMATS

GRID_PAGE = 48  # releases
ASKED = ("q", "market", "at", "sort", "exclude", "upcoming")  # what the form has fields for
KINDS = {"album": "Albums", "single": "Singles", "ep": "EPs", "compilation": "Compilations"}
LEFT_OUT = {"various_artists": "no Various Artists", "versions": "one version of each"}
FEED_NAMES = ("Atom", "JSON Feed", "Calendar", "CSV")
NOT_IN_FEEDS = {"release_limit", "limit", "offset", "sort"}  # they have an order of their own


class ReleaseGridQuery(AlbumsQuery):
    """The parameters of `GET /`: those of `/api/albums/`, but pages of many releases."""

    path: ClassVar[str] = "/"

    limit: Limit = GRID_PAGE


class Link(NamedTuple):
    """Where a click leads, under this server's root; whether that is where we are."""

    text: str
    href: str
    current: bool = False


class Feed(NamedTuple):
    """A feed of the same releases, under this server's root."""

    text: str
    href: str
    media_type: str


def _with(asked: ReleaseGridQuery, **changes: Any) -> str:
    """The address of the first page of another query."""
    return asked.model_copy(update={"offset": None, **changes}).href


def _without_upcoming(asked: ReleaseGridQuery, **changes: Any) -> str:
    """The same without what is upcoming, which alone is shown the nearest first."""
    sort = "-released" if asked.sort == "released" else asked.sort
    return _with(asked, upcoming="exclude", sort=sort, **changes)


def kinds(asked: ReleaseGridQuery) -> Iterator[Link]:
    """The releases of one type each, after those of all."""
    only = asked.upcoming == "only"
    whole = _without_upcoming(asked, type=()) if only else _with(asked, type=())
    yield Link("All", whole, not asked.type and not only)
    for kind in get_args(AlbumType):
        yield Link(KINDS[kind], _with(asked, type=(kind,)), asked.type == (kind,))


def upcoming(asked: ReleaseGridQuery) -> Link:
    """The upcoming releases alone, the nearest first."""
    href = _with(asked, upcoming="only", sort="released")
    return Link("Upcoming", href, asked.upcoming == "only")


def chosen(asked: ReleaseGridQuery, written: str) -> Iterator[Link]:
    """What narrows the wall, each leading to the wall without it."""
    if asked.q:
        yield Link(f"“{written or asked.q}”", _with(asked, q=None))
    if len(asked.type) > 1:
        names = [KINDS[kind] for kind in asked.type]
        yield Link(" and ".join((", ".join(names[:-1]), names[-1])), _with(asked, type=()))
    if asked.market:
        yield Link(f"in {asked.market}", _with(asked, market=None))
    if asked.at:
        yield Link(f"listed on {date_words(asked.at)}", _with(asked, at=None))
    if asked.released_after:
        text = f"from {date_words(asked.released_after)} on"
        yield Link(text, _with(asked, released_after=None))
    if asked.released_before:
        text = f"until {date_words(asked.released_before)}"
        yield Link(text, _with(asked, released_before=None))
    if asked.upcoming != "exclude":
        text = "upcoming only" if asked.upcoming == "only" else "with upcoming"
        yield Link(text, _without_upcoming(asked))
    for each in asked.exclude:
        rest = tuple(other for other in asked.exclude if other != each)
        yield Link(LEFT_OUT[each], _with(asked, exclude=rest))


def days(asked: ReleaseGridQuery, today: date, since: date | None = None) -> Iterator[Link]:
    """Link to the days around the one shown, none before `since`; what is served now is today's."""
    shown = date.fromisoformat(asked.at) if asked.at else today
    if shown > (since or date.min):
        before = shown - timedelta(days=1)
        yield Link(f"‹ {date_words(before.isoformat())}", _with(asked, at=before.isoformat()))
    if asked.at and shown < today - timedelta(days=1):
        after = shown + timedelta(days=1)
        yield Link(f"{date_words(after.isoformat())} ›", _with(asked, at=after.isoformat()))
    if asked.at:
        yield Link("Now", _with(asked, at=None))


def feeds(asked: ReleaseGridQuery) -> Iterator[Feed]:
    """The same releases as feeds."""
    wanted = asked.model_dump(exclude_defaults=True, exclude=NOT_IN_FEEDS)
    for name, kind in zip(FEED_NAMES, FEEDS, strict=True):
        media_type = FORMATS[kind.path].content_type.partition(";")[0]
        yield Feed(name, kind.model_validate(wanted).href, media_type)


def kept(asked: ReleaseGridQuery) -> Iterator[tuple[str, str]]:
    """What the form has to send along, lest it be forgotten."""
    for name, value in asked.model_dump(exclude_defaults=True, exclude={"offset", *ASKED}).items():
        yield name, ",".join(value) if isinstance(value, tuple) else str(value)
