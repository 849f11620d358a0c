"""Walks through albums in an order, from a place on, each segment along one index.

An order has one or two segments, because an index has undated releases apart, and those announced
before their day apart from those shown when they were seen.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, tzinfo
from functools import cached_property
from typing import Any, Literal, NamedTuple

from sqlalchemy import ColumnElement, DateTime, bindparam, func, literal_column, true

from models.album import ANNOUNCED, NAME_LENGTH
from server.catalog.reading import Facts, Order, Place, moment_of, place_of
from server.catalog.zones import day_in, start_of_day
from server.storage.reading import prepared
from server.storage.reading.filters import follows
from server.storage.reading.sources import Rows

Segment = Literal["dated", "undated", "seen", "announced", "arrived", "name"]
Segments = tuple[Segment, ...]
SEGMENTS: dict[Order, Segments] = {
    "released": ("dated", "undated"),
    "seen": ("seen",),
    "shown": ("arrived", "announced"),
    "name": ("name",),
}
VALUES: dict[Segment, tuple[str, ...]] = {  # columns of the index, as they are named in a statement
    "dated": ("release_date", "created_at", "position", "spotify_id"),
    "undated": ("release_date", "created_at", "position", "spotify_id"),
    "seen": ("created_at", "position", "spotify_id"),
    "arrived": ("created_at", "position", "spotify_id"),
    "announced": ("release_date", "created_at", "position", "spotify_id"),
    "name": ("name", "spotify_id"),
}
CUT_NAME = "cut_name"
DESCENDING = {"release_date", "created_at"}


class Course(NamedTuple):
    """What a walk is like; where it starts are parameters of the statement.

    `downward` is the direction of `catalog.reading.rank`. It begins in the segment `start`, with
    `inclusive` at the very place; at the very beginning without `start`. `is_utc` is whether days
    are those of UTC.
    """

    order: Order
    downward: bool
    is_utc: bool
    start: Segment | None
    inclusive: bool

    def stages(self) -> Iterator[Segments]:
        """Yield the segments that the walk has not passed, one after the other or together."""
        segments = SEGMENTS[self.order]
        if self.order != "released":
            yield segments
            return
        first, last = segments if self.downward else reversed(segments)
        if self.start != last:
            yield (first,)
        yield (last,)

    def keys(self, segment: Segment, rows: Rows) -> list[tuple[Any, str, bool]]:
        """Return the columns that order a segment, with their names and whether they descend."""
        return [
            (
                cut_name(rows) if name == "name" else getattr(rows, name),
                name,
                (name in DESCENDING) is self.downward,
            )
            for name in VALUES[segment]
        ]

    def ordered(self, segment: Segment, rows: Rows) -> list[ColumnElement[Any]]:
        """Return a segment's ORDER BY, in the words of its index."""
        columns: list[ColumnElement[Any]] = []
        for column, name, falls in self.keys(segment, rows):
            each = column.desc() if falls else column.asc()
            if name == "release_date":
                each = each.nulls_last() if falls else each.nulls_first()
            columns.append(each)
        return columns

    def is_indexed(self, segment: Segment, rows: Rows, alias: str) -> ColumnElement[bool]:
        """Make the condition of an index that holds a segment; `alias` is the table's in SQL."""
        found: Any = true()
        if segment in ("dated", "announced"):
            found = rows.release_date.is_not(None)
        if segment == "undated":
            found = rows.release_date.is_(None)
        if segment in ("arrived", "announced") and self.is_utc:
            names = f"{alias}.created_at", f"{alias}.release_date"
            announced: Any = literal_column(ANNOUNCED.format(*names))
            found = announced if segment == "announced" else announced.is_not(True)
        return found  # type: ignore[no-any-return]

    def belongs(self, segment: Segment, rows: Rows) -> ColumnElement[bool]:
        """Make the condition that an album is in a segment, where no index tells."""
        if self.is_utc or segment not in ("arrived", "announced"):
            return true()
        announced = rows.release_date > day_of(rows.created_at)
        return announced if segment == "announced" else announced.is_not(True)  # type: ignore[no-any-return]

    def begins(self, segment: Segment, rows: Rows) -> ColumnElement[bool]:
        """Make the condition that an album of a segment comes after the start."""
        if self.start == segment:
            compared = [
                (column, bindparam(f"start_{name}", type_=column.type), falls)
                for column, name, falls in self.keys(segment, rows)
                if not (segment == "undated" and name == "release_date")
            ]
            return follows(compared, inclusive=self.inclusive)
        found: Any = true()
        if self.start == "arrived":  # those announced come last of their day
            day = prepared.words("start_day")
            found = rows.release_date <= day if self.downward else rows.release_date > day
        if self.start == "announced":
            first = bindparam("start_first", type_=DateTime(timezone=True))
            found = rows.created_at < first if self.downward else rows.created_at >= first
        return found  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Walk:
    """A walk in an order from a place on, or from the beginning; days are those of a zone."""

    order: Order
    downward: bool
    where: tzinfo
    zone: str
    start: Place | None = None
    inclusive: bool = False

    @cached_property
    def course(self) -> Course:
        """What the walk is like."""
        start = None if self.start is None else self._segment(self.start)
        return Course(self.order, self.downward, self.zone == "UTC", start, self.inclusive)

    def _segment(self, place: Place) -> Segment:
        first, *others = SEGMENTS[self.order]
        is_first = {"released": bool(place[0]), "shown": len(place) > 1 and place[1] == 1}
        return first if is_first.get(self.order, True) else others[0]

    @cached_property
    def values(self) -> dict[str, Any]:
        """The values of the parameters."""
        values: dict[str, Any] = {"zone": self.zone}
        if self.start is None:
            return values
        segment, place = self._segment(self.start), self.start
        if self.order == "shown":
            day = str(place[0])
            values["start_day"] = day
            values["start_first"] = start_of_day(first_day(day), self.where)
            place = (day, *place[2:]) if segment == "announced" else place[2:]
        for name, value in zip(VALUES[segment], place, strict=True):
            values[f"start_{name}"] = moment_of(int(value)) if name == "created_at" else value
        return values

    def place(self, segment: Segment, row: Any) -> Place:
        """Return the place of a row as a member of a segment, which it may not be."""
        facts = Facts(row.release_date, row.created_at, row.position, row.spotify_id, row.name)
        if segment not in ("arrived", "announced"):
            return place_of(self.order, facts, self.where)
        rest = place_of("seen", facts)
        if segment == "announced":
            return facts.release_date or "", 0, *rest
        return day_in(facts.created_at, self.where).isoformat(), 1, *rest


def cut_name(rows: Rows) -> ColumnElement[str]:
    """Select what albums are ordered by as their name: the column CUT_NAME of a subquery with it.

    The planner knows that such a subquery is in order only if it has this as a column.
    """
    found: ColumnElement[str] | None = getattr(rows, CUT_NAME, None)
    return func.left(rows.folded_name, literal_column(str(NAME_LENGTH))) if found is None else found


def day_of(moment: Any) -> ColumnElement[str]:
    """Select the day of a time in the zone of the walk, as a text."""
    return func.to_char(func.timezone(prepared.words("zone"), moment), "YYYY-MM-DD")


def first_day(text: str) -> date:
    """Return the first day that sorts at or after a date of 4, 7 or 10 characters, as texts do."""
    try:
        return date.fromisoformat(text + "-01-01"[len(text) - 4 :])
    except ValueError:  # as `2026-13`, `0000` or `2026-02-30`
        pass
    year, month = int(text[:4] or 0), int(text[5:7] or 0)
    if year < 1:
        return date.min
    if 1 <= month <= 12 and text[8:] == "00":
        return date(year, month, 1)
    year, month = (year + 1, 1) if month >= 12 else (year, month + 1)
    return date.max if year > date.max.year else date(year, month, 1)
