"""Reads the next albums of a walk, in one statement along indexes, and how far that has led."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import Any

from sqlalchemy import Select, and_, any_, literal_column, select, union_all
from sqlalchemy.orm import Session

from server.catalog.reading import Place, rank
from server.storage.reading import prepared
from server.storage.reading.filters import Filters, Wanted, matches
from server.storage.reading.orders import CUT_NAME, Course, Segment, Segments, Walk, cut_name
from server.storage.reading.prepared import SHAPES, Prepared, prepare
from server.storage.reading.sources import past, present, unchanged

EXAMINED = 3000  # rows of an index that a page may look at; filters may drop all of them
WALKED, FORMER = "walked", "former"  # names in SQL


@dataclass(frozen=True)
class Step:
    """An album of a walk: its place, our id, and the artists it had, if it has changed since."""

    place: Place
    id: int
    artists: list[int] | None


Ranked = tuple[Any, Step]  # what sorts a step, see `catalog.reading.rank`


@dataclass(frozen=True)
class Stretch:
    """Consecutive steps, and the place up to which the walk has come; None at its end."""

    steps: list[Step]
    end: Place | None


def read_stretch(
    session: Session,
    wanted: Wanted,
    walk: Walk,
    count: int,
    few: Sequence[int] | None = None,
    examined: int | None = None,
) -> Stretch:
    """Read up to `count` albums that match, from the start of a walk on.

    `few` are the ids of all albums that may match, if they are known and few; otherwise at most
    `examined` rows of each index are looked at (default: EXAMINED), so that a stretch may be short.
    """
    most = EXAMINED if examined is None else examined
    steps: list[Step] = []
    end = None
    for segments in walk.course.stages():
        part = _read_part(session, wanted, walk, segments, count - len(steps), few, most)
        steps += part.steps
        end = part.end
        if end is not None:
            break
    return Stretch(steps, end)


def _read_part(
    session: Session,
    wanted: Wanted,
    walk: Walk,
    segments: Segments,
    count: int,
    few: Sequence[int] | None,
    examined: int,
) -> Stretch:
    """Read from segments that lead on together."""
    course, filters = walk.course, wanted.filters
    values = {**wanted.values, **walk.values, "count": count, "few": few, "examined": examined}
    statement = _statement(filters, course, segments, is_few=few is not None)
    branches = _branches(filters, segments)
    found: list[list[Ranked]] = [[] for _ in branches]
    for row in statement.run(session, values):
        place = walk.place(branches[row.branch][0], row)
        step = Step(place, row.id, row.artists)
        found[row.branch].append((rank(walk.order, place), step))
    ends = []
    for steps, (segment, former) in zip(found, branches, strict=True):
        if len(steps) == count:
            ends.append(_ordered(steps, walk)[-1][1].place)
        elif not former and few is None:
            looked = _last_examined(filters, course, segment).run(session, values)
            ends += [walk.place(segment, row) for row in looked]
    return _cut(walk, [step for steps in found for step in steps], ends, count)


def _branches(filters: Filters, segments: Segments) -> list[tuple[Segment, bool]]:
    """Return the parts of a walk: each segment, of albums as they are and of former states."""
    states = (False, True) if filters.changes else (False,)
    return [(segment, former) for segment in segments for former in states]


def _cut(walk: Walk, found: list[Ranked], ends: list[Place], count: int) -> Stretch:
    """Keep the steps up to the nearest end of a branch, and `count` of them at most."""
    steps = [step for _, step in _ordered(found, walk)]
    end = None
    if ends:
        ranked = [(rank(walk.order, each), each) for each in ends]
        bound, end = min(ranked) if walk.downward else max(ranked)
        within = [key <= bound if walk.downward else key >= bound for key, _ in found]
        steps = steps[: sum(within)]
    if len(steps) >= count:
        return Stretch(steps[:count], steps[count - 1].place)
    return Stretch(steps, end)


def _ordered(found: list[Ranked], walk: Walk) -> list[Ranked]:
    return sorted(found, key=itemgetter(0), reverse=not walk.downward)


@lru_cache(SHAPES)
def _statement(filters: Filters, course: Course, segments: Segments, *, is_few: bool) -> Prepared:
    branches = [
        _branch(filters, course, segment, is_few=is_few, former=former).subquery()
        for segment, former in _branches(filters, segments)
    ]
    numbered = [
        select(literal_column(str(number)).label("branch"), *branch.c)
        for number, branch in enumerate(branches)
    ]
    return prepare(union_all(*numbered))


def _branch(
    filters: Filters, course: Course, segment: Segment, *, is_few: bool, former: bool
) -> Select[Any]:
    """Select the albums of one segment that have not changed, or the `former` states of others."""
    if former:
        rows = _former(course, segment).subquery()
    else:
        rows = _examined(filters, course, segment, is_few=is_few).subquery()
    matching = [matches(filters, rows.c), course.belongs(segment, rows.c)]
    if not former:
        matching.append(unchanged(rows.c, changes=filters.changes))
    columns = rows.c.release_date, rows.c.created_at, rows.c.position, _name(rows.c)
    return (
        select(rows.c.id, rows.c.spotify_id, *columns, rows.c.artists)
        .where(*matching)
        .order_by(*course.ordered(segment, rows.c))
        .limit(prepared.number("count"))
    )


def _examined(filters: Filters, course: Course, segment: Segment, *, is_few: bool) -> Select[Any]:
    album, statement = present(WALKED)
    within = statement.where(*_within(course, segment, album), *_of_type(filters, album))
    if is_few:
        return within.where(album.id == any_(prepared.ids("few")))
    if course.order == "name":
        within = within.add_columns(cut_name(album).label(CUT_NAME))
    return within.order_by(*course.ordered(segment, album)).limit(prepared.number("examined"))


def _within(course: Course, segment: Segment, rows: Any, alias: str = WALKED) -> list[Any]:
    return [course.is_indexed(segment, rows, alias), course.begins(segment, rows)]


def _former(course: Course, segment: Segment) -> Select[Any]:
    states = past().subquery(FORMER)
    return select(*states.c).where(and_(*_within(course, segment, states.c, FORMER)))


def _of_type(filters: Filters, rows: Any) -> list[Any]:
    """Make the condition that an index of each type begins with, if only one is wanted."""
    return [rows.album_type == prepared.words("type")] if "type" in filters.used else []


def _name(rows: Any) -> Any:
    return cut_name(rows).label("name")


@lru_cache(SHAPES)
def _last_examined(filters: Filters, course: Course, segment: Segment) -> Prepared:
    """Make the statement that reads the last album that was examined, if there were as many."""
    album, _ = present(WALKED)
    columns = album.spotify_id, album.release_date, album.created_at, album.position, _name(album)
    return prepare(
        select(*columns)
        .where(*_within(course, segment, album), *_of_type(filters, album))
        .order_by(*course.ordered(segment, album))
        .offset(prepared.number("examined") - 1)
        .limit(1)
    )
