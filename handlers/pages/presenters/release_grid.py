"""The release grid of the start page: its cards, links and form fields. Pure."""

import re
from dataclasses import dataclass, replace
from datetime import date, datetime
from urllib.parse import parse_qsl, urlencode

from handlers.pages.presenters import grid_links
from handlers.pages.presenters.cards import Card
from handlers.pages.presenters.formatting import counted, date_words, grouped
from handlers.pages.presenters.grid_links import Feed, Link, ReleaseGridQuery
from server.catalog import isolation, selection
from server.catalog import query as queries
from server.catalog.isolation import LeftOut
from server.catalog.release import clean_if_any
from server.catalog.snapshot import AlbumEntry, Snapshot
from server.serving.pages import Listed, Listing

LISTS = ("type", "kind", "exclude")  # forms send these by repeating the name
SORTS = {
    "-released": "Newest first",
    "released": "Oldest first",
    "-seen": "Recently added",
    "seen": "First added",
    "name": "A to Z",
    "-name": "Z to A",
}
UPCOMING = {"exclude": "Exclude", "include": "Include", "only": "Only upcoming"}
LATEST = "Latest"
WHOLE_DAY = len("2026-11-20")
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class ReleaseGrid:
    """A page of the release grid.

    `search_text` is the search as entered; the query has its normal form. `today` is the day in the
    zone of the query. `total` is None if it is not known how many releases there are. `span` are
    the first and the last release date of a later page that is ordered by them. `onward` is the
    name of the link to the page `following`. `beginning` leads from a later page to the first one.
    `hidden_fields` are the parameters without a visible form field. `has_markets` is true if the
    form offers a market: the markets of some release are known, or a market is selected. `since` is
    the first day with listings.
    """

    query: ReleaseGridQuery
    today: date
    search_text: str
    cards: tuple[Card, ...]
    total: int | None
    span: str
    following: str | None
    preceding: str | None
    onward: str
    beginning: Link | None
    kinds: tuple[Link, ...]
    upcoming: Link
    periods: dict[int, str]
    active_filters: tuple[Link, ...]
    days: tuple[Link, ...]
    feeds: tuple[Feed, ...]
    hidden_fields: tuple[tuple[str, str], ...]
    has_markets: bool
    since: date | None = None
    left_out: tuple[LeftOut, ...] = ()

    @property
    def range(self) -> str:
        """The part of the list on this page, in words."""
        number, total = len(self.cards), self.total
        every = "" if total is None else counted(total, "release")
        if total is not None and self.query.cursor is None:
            start = self.query.start
            if number == total:
                return every
            span = f"{grouped(start + 1)}–{grouped(start + number)}" if number else "none"
            return f"{span} of {every}"
        if self.following and not number:
            return "none on this page"
        if self.beginning is None:
            return f"{'first ' if self.following else ''}{counted(number, 'release')}"
        if not number:
            return "no more releases"
        return f"{grouped(number)} more of {every}" if every else f"{grouped(number)} more"

    @property
    def heading(self) -> str:
        """The heading of the grid: which releases, or in which order."""
        is_first = self.beginning is None
        if self.query.at:
            day = date_words(self.query.at)
            return f"Listed on {day}" if is_first else f"{self.onward}, listed on {day}"
        if self.query.upcoming == "only":
            return "Upcoming" if is_first else f"Upcoming: {self.onward.lower()}"
        if not is_first:
            return self.onward
        return LATEST if self.query.sort == "-released" else SORTS[self.query.sort]

    @property
    def title(self) -> str:
        """What tells the page apart from others, for its title; empty for the latest releases."""
        heading = "" if self.heading == LATEST else self.heading
        search = f"“{self.search_text}”" if self.query.q else ""
        return ", ".join(each for each in (search, heading, self.span) if each)

    @property
    def is_first_day(self) -> bool:
        """Whether the page shows the first day with listings."""
        shown = self.query.at
        if self.since is None:
            return False
        return shown == self.since.isoformat() if shown else not self.days

    @property
    def is_live(self) -> bool:
        """Whether new releases appear at the top of this page."""
        query = self.query
        if query.path != ReleaseGridQuery.path:  # the events are of all releases
            return False
        return query.at is None and self.beginning is None and query.sort in ("-released", "-seen")


def read(
    query_string: str,
    now: datetime,
    watched_since: datetime | None = None,
    kind: type[ReleaseGridQuery] = ReleaseGridQuery,
) -> tuple[ReleaseGridQuery, str]:
    """Parse the query string of a link or a form; return the query and the search as entered.

    Forms send empty fields and repeat the names of lists, which the API refuses. Control characters
    in the search become spaces. The days that can be requested are those from `watched_since` to
    `now`. Raises InvalidParameters or UriTooLong.
    """
    queries.check_length(query_string)
    lists: dict[str, list[str]] = {}
    pairs: list[tuple[str, str]] = []
    for name, value in parse_qsl(query_string, errors="replace"):  # skips empty fields
        if name in LISTS:
            lists.setdefault(name, []).append(value)
        else:
            pairs.append((name, value))
    pairs += [(name, ",".join(values)) for name, values in lists.items()]
    search_text = " ".join(CONTROLS.sub(" ", dict(pairs).get("q", "")).split())
    return queries.parse(kind, urlencode(pairs), now, watched_since), search_text


def empty(query: ReleaseGridQuery, today: date, search_text: str = "") -> ReleaseGrid:
    """Return the grid before the first sync."""
    return _grid(query, (), Listed((), None, None, 0), today, search_text, has_markets=False)


def build(
    snapshot: Snapshot,
    query: ReleaseGridQuery,
    today: date,
    listing: Listing,
    search_text: str = "",
) -> ReleaseGrid:
    """Build the page for a query; a release that cannot be shown is left out.

    `listing` are its releases, of which `snapshot` has those in memory. `today` is the day in the
    zone of the query.
    """
    listed, unlisted = listing
    releases = [each for each in listed.items if isinstance(each, AlbumEntry)]
    cards, unshown = isolation.build_each(releases, lambda each: Card.of(each.release, today))
    has_markets = any(entry.markets and not entry.markets.isspace() for entry in snapshot.albums)
    since = snapshot.freshness.watched_from(today, query.zone)
    artist = clean_if_any(selection.artist_name((*snapshot.albums, *releases), query))
    grid = _grid(
        query, tuple(cards), listed, today, search_text, since, artist, has_markets=has_markets
    )
    return replace(grid, left_out=(*unlisted, *unshown))


def _grid(
    query: ReleaseGridQuery,
    cards: tuple[Card, ...],
    listed: Listed,
    today: date,
    search_text: str,
    since: date | None = None,
    artist: str | None = None,
    *,
    has_markets: bool,
) -> ReleaseGrid:
    return ReleaseGrid(
        query=query,
        today=today,
        search_text=search_text,
        cards=cards,
        total=listed.total,
        span=_span(query, listed),
        following=listed.following,
        preceding=listed.preceding,
        onward=grid_links.onward(query),
        beginning=grid_links.beginning(query),
        kinds=tuple(grid_links.kinds(query)),
        upcoming=grid_links.upcoming(query),
        periods=grid_links.periods(query),
        active_filters=tuple(grid_links.active_filters(query, search_text, artist)),
        days=tuple(grid_links.days(query, today, since)),
        feeds=tuple(grid_links.feeds(query)),
        hidden_fields=tuple(grid_links.hidden_fields(query)),
        has_markets=has_markets or query.market is not None,
        since=since,
    )


def _span(query: ReleaseGridQuery, listed: Listed) -> str:
    """Return the release dates between which a later page is: 3 Jan 2009 – 28 Dec 2009.

    Months and years that come without a day count only where no release has one.
    """
    if query.is_first or not query.sort.endswith("released"):
        return ""
    dates = [each.release_date for each in listed.items if isinstance(each, AlbumEntry)]
    known = [each for each in dates if each is not None]
    known = [each for each in known if len(each) == WHOLE_DAY] or known
    ends = dict.fromkeys(date_words(each) for each in (min(known), max(known))) if known else ()
    return " – ".join(ends)
