"""The wall of new releases: what a page of it shows. Pure."""

import re
from dataclasses import dataclass, replace
from datetime import date
from urllib.parse import parse_qsl, urlencode

from handlers.pages.presenters import grid_links
from handlers.pages.presenters.cards import Card
from handlers.pages.presenters.formatting import counted, date_words, grouped
from handlers.pages.presenters.grid_links import Feed, Link, ReleaseGridQuery
from server.catalog import isolation, query, selection
from server.catalog.isolation import LeftOut
from server.catalog.snapshot import Snapshot
from server.serving import payload

LISTS = ("type", "exclude")  # which forms give by repeating the name
SORTS = {
    "-released": "Newest first",
    "released": "Oldest first",
    "-seen": "Recently added",
    "seen": "First added",
    "name": "A to Z",
    "-name": "Z to A",
}
UPCOMING = {"exclude": "Exclude", "include": "Include", "only": "Only upcoming"}
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class ReleaseGrid:
    """A page of the wall; `first` counts from 1, `kept` is what the form has no fields for.

    `written` is the search as somebody wrote it; the query has its normal form. `has_markets` says
    whether a market can be chosen: the markets of some release are known, or one is chosen already.
    `since` is the first day that can be shown.
    """

    query: ReleaseGridQuery
    written: str
    cards: tuple[Card, ...]
    total: int
    first: int
    following: str | None
    preceding: str | None
    kinds: tuple[Link, ...]
    upcoming: Link
    chosen: tuple[Link, ...]
    days: tuple[Link, ...]
    feeds: tuple[Feed, ...]
    kept: tuple[tuple[str, str], ...]
    has_markets: bool
    since: date | None = None
    left_out: tuple[LeftOut, ...] = ()

    @property
    def range(self) -> str:
        """What part of it this is, in words."""
        last, whole = self.first + len(self.cards) - 1, counted(self.total, "release")
        if len(self.cards) == self.total:
            return whole
        return (
            f"{grouped(self.first)}–{grouped(last)} of {whole}"
            if self.cards
            else f"none of {whole}"
        )

    @property
    def heading(self) -> str:
        """What stands above the releases: which ones these are, in which order."""
        if self.query.at:
            return f"Listed on {date_words(self.query.at)}"
        if self.query.upcoming == "only":
            return "Upcoming"
        return "Latest" if self.query.sort == "-released" else SORTS[self.query.sort]

    @property
    def begins(self) -> bool:
        """Whether this is the first day that can be shown."""
        shown = self.query.at
        if self.since is None:
            return False
        return shown == self.since.isoformat() if shown else not self.days

    @property
    def is_live(self) -> bool:
        """Whether what comes in belongs at its top."""
        asked = self.query
        return asked.at is None and asked.start == 0 and asked.sort in ("-released", "-seen")


def read(query_string: str, today: date, since: date | None = None) -> tuple[ReleaseGridQuery, str]:
    """What an address or a form asks for, and its search as it was written, but for controls.

    Forms send fields that are empty, and repeat the name of a list; the language has neither.
    `today` is the day in UTC, `since` the first one that can be asked for. Raises
    InvalidParameters or UriTooLong.
    """
    query.check_length(query_string)
    lists: dict[str, list[str]] = {}
    pairs: list[tuple[str, str]] = []
    for name, value in parse_qsl(query_string, errors="replace"):  # the empty ones are left out
        if name in LISTS:
            lists.setdefault(name, []).append(value)
        else:
            pairs.append((name, value))
    pairs += [(name, ",".join(values)) for name, values in lists.items()]
    written = CONTROLS.sub(" ", dict(pairs).get("q", ""))
    return query.parse(ReleaseGridQuery, urlencode(pairs), today, since), " ".join(written.split())


def empty(asked: ReleaseGridQuery, today: date, written: str = "") -> ReleaseGrid:
    """The wall before there is anything to hang there."""
    return _grid(asked, (), 0, today, written, has_markets=False)


def build(
    snapshot: Snapshot, asked: ReleaseGridQuery, today: date, written: str = ""
) -> ReleaseGrid:
    """The page that a query asks for, without what cannot be shown; `today` is the day in UTC."""
    listed, unlisted = isolation.together(
        snapshot.albums, lambda albums: selection.albums(snapshot.only(albums), asked, today)
    )
    page = listed[asked.start : asked.start + asked.limit]
    cards, unshown = isolation.each(page, lambda entry: Card.of(entry.release, today))
    has_markets = any(entry.markets and not entry.markets.isspace() for entry in snapshot.albums)
    since = snapshot.freshness.watched_from(today)
    grid = _grid(asked, tuple(cards), len(listed), today, written, since, has_markets=has_markets)
    return replace(grid, left_out=(*unlisted, *unshown))


def _grid(
    asked: ReleaseGridQuery,
    cards: tuple[Card, ...],
    total: int,
    today: date,
    written: str,
    since: date | None = None,
    *,
    has_markets: bool,
) -> ReleaseGrid:
    following, preceding = payload.neighbours(asked, total)
    return ReleaseGrid(
        query=asked,
        written=written,
        cards=cards,
        total=total,
        first=asked.start + 1,
        following=following,
        preceding=preceding,
        kinds=tuple(grid_links.kinds(asked)),
        upcoming=grid_links.upcoming(asked),
        chosen=tuple(grid_links.chosen(asked, written)),
        days=tuple(grid_links.days(asked, today, since)),
        feeds=tuple(grid_links.feeds(asked)),
        kept=tuple(grid_links.kept(asked)),
        has_markets=has_markets or asked.market is not None,
        since=since,
    )
