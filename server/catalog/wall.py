"""The wall of new releases: what a page of it shows, and where its links lead. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, NamedTuple, get_args
from urllib.parse import parse_qsl, urlencode

import orjson

from server.catalog import isolation, payload, query, selection
from server.catalog.feeds import FORMATS
from server.catalog.isolation import LeftOut
from server.catalog.query import FEEDS, AlbumType, WallQuery
from server.catalog.snapshot import Snapshot
from server.catalog.tiles import Tile
from server.catalog.wording import counted, date_words

LISTS = ("type", "exclude")  # which forms give by repeating the name
ASKED = ("q", "market", "at", "sort", "exclude")  # what the form has fields for
KINDS = {"album": "Albums", "single": "Singles", "ep": "EPs", "compilation": "Compilations"}
LEFT_OUT = {"various_artists": "no Various Artists", "versions": "one version of each"}
SORTS = {
    "-released": "Newest first",
    "released": "Oldest first",
    "-seen": "Last to come in",
    "seen": "First to come in",
    "name": "A to Z",
    "-name": "Z to A",
}
FEED_NAMES = ("Atom", "JSON Feed", "Calendar", "CSV")
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
NOT_IN_FEEDS = {"release_limit", "limit", "offset"}


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


@dataclass(frozen=True)
class Wall:
    """A page of the wall; `first` counts from 1, `kept` is what the form has no fields for.

    `written` is the search as somebody wrote it; the query has its normal form. `has_markets` says
    whether a market can be chosen: the markets of some release are known, or one is chosen already.
    """

    query: WallQuery
    written: str
    tiles: tuple[Tile, ...]
    total: int
    first: int
    following: str | None
    preceding: str | None
    kinds: tuple[Link, ...]
    chosen: tuple[Link, ...]
    days: tuple[Link, ...]
    feeds: tuple[Feed, ...]
    kept: tuple[tuple[str, str], ...]
    has_markets: bool
    left_out: tuple[LeftOut, ...] = ()

    @property
    def range(self) -> str:
        """What part of it this is, in words."""
        last, whole = self.first + len(self.tiles) - 1, counted(self.total, "release")
        if len(self.tiles) == self.total:
            return whole
        return f"{self.first}–{last} of {whole}" if self.tiles else f"none of {whole}"

    @property
    def is_live(self) -> bool:
        """Whether what comes in belongs at its top."""
        asked = self.query
        return asked.at is None and asked.offset == 0 and asked.sort in ("-released", "-seen")


def read(query_string: str, today: date) -> tuple[WallQuery, str]:
    """What an address or a form asks for, and its search as it was written, but for controls.

    Forms send fields that are empty, and repeat the name of a list; the language has neither.
    `today` is the day in UTC. Raises InvalidParameters or UriTooLong.
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
    return query.parse(WallQuery, urlencode(pairs), today), " ".join(written.split())


def empty(asked: WallQuery, today: date, written: str = "") -> Wall:
    """The wall before there is anything to hang there."""
    return _wall(asked, (), 0, today, written, has_markets=False)


def build(snapshot: Snapshot, asked: WallQuery, today: date, written: str = "") -> Wall:
    """The page that a query asks for, without what cannot be shown; `today` is the day in UTC."""
    listed, unlisted = isolation.together(
        snapshot.albums, lambda albums: selection.albums(albums, asked, today)
    )
    page = listed[asked.offset : asked.offset + asked.limit]
    tiles, unshown = isolation.each(page, lambda entry: Tile.of(orjson.loads(entry.json), today))
    has_markets = any(entry.markets and not entry.markets.isspace() for entry in snapshot.albums)
    wall = _wall(asked, tuple(tiles), len(listed), today, written, has_markets=has_markets)
    return replace(wall, left_out=(*unlisted, *unshown))


def _wall(
    asked: WallQuery,
    tiles: tuple[Tile, ...],
    total: int,
    today: date,
    written: str,
    *,
    has_markets: bool,
) -> Wall:
    following, preceding = payload.neighbours(asked, total)
    return Wall(
        query=asked,
        written=written,
        tiles=tiles,
        total=total,
        first=asked.offset + 1,
        following=following,
        preceding=preceding,
        kinds=tuple(_kinds(asked)),
        chosen=tuple(_chosen(asked, written)),
        days=tuple(_days(asked, today)),
        feeds=tuple(_feeds(asked)),
        kept=tuple(_kept(asked)),
        has_markets=has_markets or asked.market is not None,
    )


def _with(asked: WallQuery, **changes: Any) -> str:
    """The address of the first page of another query."""
    return asked.model_copy(update={"offset": 0, **changes}).href


def _kinds(asked: WallQuery) -> Iterator[Link]:
    yield Link("All", _with(asked, type=()), not asked.type)
    for kind in get_args(AlbumType):
        yield Link(KINDS[kind], _with(asked, type=(kind,)), asked.type == (kind,))


def _chosen(asked: WallQuery, written: str) -> Iterator[Link]:
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
    for each in asked.exclude:
        rest = tuple(other for other in asked.exclude if other != each)
        yield Link(LEFT_OUT[each], _with(asked, exclude=rest))


def _days(asked: WallQuery, today: date) -> Iterator[Link]:
    """The days around the one that is shown; what is served now counts as today."""
    shown = date.fromisoformat(asked.at) if asked.at else today
    if shown > date.min:
        before = shown - timedelta(days=1)
        yield Link(f"‹ {date_words(before.isoformat())}", _with(asked, at=before.isoformat()))
    if asked.at and shown < today - timedelta(days=1):
        after = shown + timedelta(days=1)
        yield Link(f"{date_words(after.isoformat())} ›", _with(asked, at=after.isoformat()))
    if asked.at:
        yield Link("Now", _with(asked, at=None))


def _feeds(asked: WallQuery) -> Iterator[Feed]:
    """The same releases as feeds."""
    wanted = asked.model_dump(exclude_defaults=True, exclude=NOT_IN_FEEDS)
    for name, kind in zip(FEED_NAMES, FEEDS, strict=True):
        media_type = FORMATS[kind.path].content_type.partition(";")[0]
        yield Feed(name, kind.model_validate(wanted).href, media_type)


def _kept(asked: WallQuery) -> Iterator[tuple[str, str]]:
    """What the form has to send along, lest it be forgotten."""
    for name, value in asked.model_dump(exclude_defaults=True, exclude={"offset", *ASKED}).items():
        yield name, ",".join(value) if isinstance(value, tuple) else str(value)
