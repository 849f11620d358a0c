"""The filters of a query as SQL, for albums as they were at the start of a reading.

They select exactly what `catalog.selection` does in memory.
"""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, any_, false, func, or_, select, true, tuple_
from sqlalchemy.orm import aliased

from models import AlbumArtist, Artist
from server.catalog.parameters import searchable
from server.catalog.query import ReleaseQuery
from server.catalog.release import VARIOUS_ARTISTS
from server.catalog.selection import types_of
from server.catalog.snapshot import Baseline
from server.storage.reading import prepared
from server.storage.reading.sources import BASELINE, Rows, all_albums, credited, finds, name_of

Condition = Callable[[Rows], ColumnElement[bool]]
AFTER_ALL = "~"  # sorts after each character of a date
ESCAPED = str.maketrans({"\\": "\\\\", "%": "\\%", "_": "\\_"})  # for LIKE
TRIGRAM = re.compile("[a-z0-9]{3}")


class Filters(NamedTuple):
    """Which filters there are; their values are parameters of the statement.

    `changes` is whether anything has changed since the start of the reading.
    """

    upcoming: str
    used: frozenset[str]
    changes: bool


@dataclass(frozen=True)
class Wanted:
    """What a reading selects: the filters of `query` on the day `day`.

    `changes` is whether anything has changed since its start. With `among`, only releases of these
    artists, by Spotify's id; with `listed`, only these, by our ids: those that were listed on the
    day `at`.
    """

    query: ReleaseQuery
    day: date
    baseline: Baseline
    changes: bool
    among: Collection[str] | None = None
    listed: Sequence[int] | None = None

    @cached_property
    def values(self) -> dict[str, Any]:
        """The values of the parameters; None for a filter that is not used."""
        query, first = self.query, self.query.first_day(self.day)
        after, text = query.released_after, searchable(query.q or "")
        types = list(types_of(query) or ())
        return {
            **dict(zip(BASELINE, self.baseline, strict=True)),
            "day": self.day.isoformat(),
            "type": types[0] if len(types) == 1 else None,
            "types": list(query.type) or None,
            "kinds": list(query.kind) or None,
            "market": query.market,
            "chosen": list(query.artist) or None,
            "among": None if self.among is None else list(self.among),
            "listed": None if self.listed is None else list(self.listed),
            "words": f"%{text.translate(ESCAPED)}%" if text else None,
            "coded": _coded(text),
            "after": after,
            "after_starts": after and [after[:4], after[:7]],
            "first": first,
            "first_starts": first and [first[:4], first[:7]],
            "before": query.released_before and query.released_before + AFTER_ALL,
        }

    @cached_property
    def filters(self) -> Filters:
        """Which filters there are."""
        used = {name for name, value in self.values.items() if value is not None}
        named = frozenset({*used, *self.query.exclude})
        return Filters(self.query.upcoming, named, self.changes)

    def found_by_search(self) -> "Wanted":
        """Return the same without the text: all albums that are looked at now have it.

        But for those that have changed, whose former names are not searched.
        """
        return (
            self if self.changes else replace(self, query=self.query.model_copy(update={"q": None}))
        )


def _coded(text: str) -> str | None:
    """Return the pattern of a text as it is indexed (`models.album.CODED`).

    None if it has nothing that the index finds: three ASCII letters or digits in a row, or another
    character, of which each byte becomes three digits.
    """
    octets = (f"\\{each:03o}" if each > 127 else chr(each) for each in text.encode())
    coded = "".join("\\\\" if each == "\\" else each for each in octets)
    return f"%{coded.translate(ESCAPED)}%" if TRIGRAM.search(coded) else None


def matches(filters: Filters, rows: Rows) -> ColumnElement[bool]:
    """Make the condition that an album passes every filter."""
    conditions = list(_conditions(filters, rows))
    if "versions" in filters.used:
        conditions.append(or_(rows.work.is_(None), ~_has_better_version(filters, rows)))
    return and_(true(), *conditions)


def _conditions(filters: Filters, rows: Rows) -> Iterator[ColumnElement[bool]]:
    used, changes = filters.used, filters.changes
    if "listed" in used:
        yield rows.id == any_(prepared.ids("listed"))
    if "types" in used:
        yield rows.album_type == any_(prepared.texts("types"))
    if "kinds" in used:
        yield rows.kind == any_(prepared.texts("kinds"))
    yield from _dates(filters, rows)
    if "market" in used:
        markets = rows.available_markets
        yield or_(markets.is_(None), prepared.words("market") == any_(markets))
    if "various_artists" in used:
        artist = aliased(Artist)
        yield ~credited(rows, artist, artist.spotify_id == VARIOUS_ARTISTS, changes=changes)
    for name in ("chosen", "among"):
        if name in used:
            artist = aliased(Artist)
            named = artist.spotify_id == any_(prepared.texts(name))
            yield credited(rows, artist, named, changes=changes)
    if "words" in used:
        artist, words = aliased(Artist), prepared.words("words")
        named = name_of(artist, changes=changes).like(words)
        yield or_(rows.folded_name.like(words), credited(rows, artist, named, changes=changes))


def _dates(filters: Filters, rows: Rows) -> Iterator[ColumnElement[bool]]:
    dated, day = rows.release_date, prepared.words("day")
    if filters.upcoming == "only":
        yield dated > day
    if filters.upcoming == "exclude":
        yield or_(dated.is_(None), dated <= day)
    for name in ("after", "first"):
        if name in filters.used:
            yield or_(
                dated >= prepared.words(name), dated == any_(prepared.texts(f"{name}_starts"))
            )
    if "before" in filters.used:
        yield dated <= prepared.words("before")


def _has_better_version(filters: Filters, rows: Rows) -> ColumnElement[bool]:
    """Make the condition that another version of the same work is listed instead."""
    found = []
    for others in all_albums(changes=filters.changes):
        other = others.c
        rivals = select(true()).select_from(others).where(other.work == rows.work)
        found.append(finds(rivals.where(_is_better(other, rows), *_conditions(filters, other))))
    return or_(*found)


def of_artist(filters: Filters, artist: Any, condition: Condition) -> ColumnElement[bool]:
    """Make the condition that an artist, by our id, has a release that matches and satisfies more.

    The releases stored last are looked at first, as they are most often the latest.
    """
    now, *then = all_albums(changes=filters.changes)
    credit = aliased(AlbumArtist)
    present = (
        select(true())
        .join_from(credit, now, now.c.id == credit.album_id)
        .where(credit.artist_id == artist, matches(filters, now.c), condition(now.c))
        .order_by(credit.album_id.desc())
    )
    found = [finds(present)]
    for states in then:
        past = select(true()).select_from(states).where(artist == any_(states.c.artists))
        found.append(finds(past.where(matches(filters, states.c), condition(states.c))))
    return or_(*found)


def _is_better(one: Rows, other: Rows) -> ColumnElement[bool]:
    """Compare versions: the newest is listed, of these the plainest, then the latest."""
    return follows(
        [
            (func.coalesce(one.release_date, ""), func.coalesce(other.release_date, ""), True),
            (one.removed, other.removed, False),
            (one.created_at, other.created_at, True),
            (one.position, other.position, False),
            (one.spotify_id, other.spotify_id, False),
        ],
        before=True,
    )


def follows(
    values: Sequence[tuple[Any, Any, bool]], *, before: bool = False, inclusive: bool = False
) -> ColumnElement[bool]:
    """Compare two rows by (left, right, descending), most significant first: left after right.

    With `before`, left before right; `inclusive` allows equal rows. The first ones, as far as they
    have the same direction, are compared as one row: so an index finds where to begin. The rest is
    put in such a way that the planner takes it for true nearly always, as it is; otherwise it would
    expect few rows, and sort all that follow instead of reading the first ones in order.
    """
    first = values[0][2]
    count = next((n for n, each in enumerate(values) if each[2] is not first), len(values))
    left, right = (tuple_(*(each[side] for each in values[:count])) for side in (0, 1))
    smaller = first is not before
    if count == len(values) and not inclusive:
        return left < right if smaller else left > right
    bound = left <= right if smaller else left >= right
    exact: Any = true() if inclusive else false()
    for one, other, descending in reversed(values[count:]):
        beyond = one < other if descending is not before else one > other
        exact = or_(beyond, and_(one == other, exact))
    return and_(bound, or_(*(one != other for one, other, _ in values[:count]), exact))
