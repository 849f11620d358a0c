"""The links of the release grid: to other filters, past days and feeds. Pure."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any, ClassVar, NamedTuple

from handlers.pages.presenters.formatting import counted, date_words
from server.catalog.parameters import Limit
from server.catalog.query import FEEDS, AlbumsQuery, ReleaseQuery
from server.catalog.reading import is_newest_first
from server.serving.feeds import FORMATS

GRID_PAGE = 48  # releases
FORM_FIELDS = ("q", "market", "at", "sort", "exclude", "upcoming", "days")  # visible ones
KINDS = {"album": "Albums", "single": "Singles", "ep": "EPs", "compilation": "Compilations"}
DAYS = {1: "Today", 7: "Last 7 days", 30: "Last 30 days", 90: "Last 90 days"}
LEFT_OUT = {"various_artists": "no Various Artists", "versions": "one version of each"}
FEED_NAMES = ("Atom", "JSON Feed", "Calendar", "CSV")
NOT_IN_FEEDS = {"release_limit", "limit", "offset", "cursor", "sort"}  # feeds have their own order
FOLLOWING = {
    "-released": "Older releases",
    "released": "Later releases",
    "-seen": "Added earlier",
    "seen": "Added later",
}


class ReleaseGridQuery(AlbumsQuery):
    """The parameters of `GET /`: those of `/api/albums/`, with a default page size.

    `feeds` are the queries of the feeds of the same releases.
    """

    path: ClassVar[str] = "/"
    feeds: ClassVar[tuple[type[ReleaseQuery], ...]] = FEEDS

    limit: Limit = GRID_PAGE

    @property
    def is_first(self) -> bool:
        """Whether it is the first page of its releases."""
        return not self.start and self.cursor is None


class Link(NamedTuple):
    """A link, relative to this server's root; `current` if it leads to the page that it is on."""

    text: str
    href: str
    current: bool = False


class Feed(NamedTuple):
    """A link to a feed of the same releases, relative to this server's root."""

    text: str
    href: str
    media_type: str


def _with(query: ReleaseGridQuery, **changes: Any) -> str:
    """Return the address of the first page of a changed query."""
    return query.model_copy(update={"offset": None, "cursor": None, **changes}).href


def _without_upcoming(query: ReleaseGridQuery, **changes: Any) -> str:
    """Return the address without upcoming releases, and without their order, nearest first."""
    sort = "-released" if query.sort == "released" else query.sort
    return _with(query, upcoming="exclude", sort=sort, **changes)


def kinds(query: ReleaseGridQuery) -> Iterator[Link]:
    """Link to the releases of all kinds, then to those of each kind."""
    only, every = query.upcoming == "only", {"kind": (), "type": ()}
    href = _without_upcoming(query, **every) if only else _with(query, **every)
    yield Link("All", href, not (query.kind or query.type or only))
    for kind, name in KINDS.items():
        yield Link(name, _with(query, kind=(kind,), type=()), query.kind == (kind,))


def periods(query: ReleaseGridQuery) -> dict[int, str]:
    """Name the periods that can be chosen by their days; the one in use is among them."""
    own = {query.days: f"Last {query.days} days"} if query.days else {}
    return dict(sorted({**own, **DAYS}.items()))


def upcoming(query: ReleaseGridQuery) -> Link:
    """Link to the upcoming releases, nearest first."""
    href = _with(query, upcoming="only", sort="released")
    return Link("Upcoming", href, query.upcoming == "only")


def active_filters(
    query: ReleaseGridQuery, search_text: str, artist: str | None = None
) -> Iterator[Link]:
    """Name each filter in use; its link leads to the grid without it.

    `artist` is the name of the artist that is asked for, if it is one and known.
    """
    if query.q:
        yield Link(f"“{search_text or query.q}”", _with(query, q=None))
    if len(query.kind) > 1:
        yield Link(_listed(query.kind), _with(query, kind=()))
    if query.type:
        yield Link(f"{_listed(query.type)} by Spotify’s type", _with(query, type=()))
    if query.artist:
        yield Link(f"of {artist or counted(len(query.artist), 'artist')}", _with(query, artist=()))
    if query.market:
        yield Link(f"in {query.market}", _with(query, market=None))
    if query.at:
        yield Link(f"listed on {date_words(query.at)}", _with(query, at=None))
    if query.released_after:
        text = f"from {date_words(query.released_after)} on"
        yield Link(text, _with(query, released_after=None))
    if query.released_before:
        text = f"until {date_words(query.released_before)}"
        yield Link(text, _with(query, released_before=None))
    if query.upcoming != "exclude":
        text = "upcoming only" if query.upcoming == "only" else "with upcoming"
        yield Link(text, _without_upcoming(query))
    if query.days:
        yield Link(periods(query)[query.days], _with(query, days=None))
    if query.tz != "UTC":
        yield Link(f"days in {query.tz}", _with(query, tz="UTC"))
    for each in query.exclude:
        rest = tuple(other for other in query.exclude if other != each)
        yield Link(LEFT_OUT[each], _with(query, exclude=rest))


def _listed(kinds: Sequence[str]) -> str:
    """Name one kind or several: Albums, EPs and Singles."""
    *names, last = (KINDS[kind] for kind in kinds)
    return f"{', '.join(names)} and {last}" if names else last


def onward(query: ReleaseGridQuery) -> str:
    """Name the link to the next page by what is on it."""
    return FOLLOWING.get(query.sort, "More releases")


def beginning(query: ReleaseGridQuery) -> Link | None:
    """Link from a later page to the first one; None on that."""
    if query.is_first:
        return None
    text = "Back to the newest" if is_newest_first(query) else "Back to the first page"
    return Link(text, _with(query))


def days(query: ReleaseGridQuery, today: date, since: date | None = None) -> Iterator[Link]:
    """Link to the day before and after the one shown, and to the current list for a past day.

    No link leads before `since`, the first day with listings.
    """
    shown = date.fromisoformat(query.at) if query.at else today
    if shown > (since or date.min):
        before = shown - timedelta(days=1)
        yield Link(f"‹ {date_words(before.isoformat())}", _with(query, at=before.isoformat()))
    if query.at and shown < today - timedelta(days=1):
        after = shown + timedelta(days=1)
        yield Link(f"{date_words(after.isoformat())} ›", _with(query, at=after.isoformat()))
    if query.at:
        yield Link("Now", _with(query, at=None))


def feeds(query: ReleaseGridQuery) -> Iterator[Feed]:
    """Link to the same releases as feeds."""
    parameters = query.model_dump(exclude_defaults=True, exclude=NOT_IN_FEEDS)
    for name, kind in zip(FEED_NAMES, query.feeds, strict=True):
        media_type = FORMATS[kind.path].content_type.partition(";")[0]
        yield Feed(name, kind.model_validate(parameters).href, media_type)


def hidden_fields(query: ReleaseGridQuery) -> Iterator[tuple[str, str]]:
    """Yield the name and value of each parameter that the form sends as a hidden field."""
    shown = {"offset", "cursor", *FORM_FIELDS}
    for name, value in query.model_dump(exclude_defaults=True, exclude=shown).items():
        yield name, ",".join(value) if isinstance(value, tuple) else str(value)
