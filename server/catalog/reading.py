"""A reading: everything kept, page by page, as it stood when the reading began. Pure.

A reading has a baseline, which says what there was at its start. A release that has changed since
is placed and selected by what it was then, and one added since is left out, so each release keeps
one place in the order, and every page is the stretch between two places. See "Cursors" in
docs/architecture.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any, Literal, NamedTuple

from server.catalog.query import ReleaseQuery
from server.catalog.release import is_upcoming
from server.catalog.snapshot import NAME_LENGTH, AlbumEntry, Baseline
from server.catalog.zones import DAY

Order = Literal["released", "seen", "shown", "name"]
Place = tuple[str | int, ...]  # the values by which an item is ordered, most significant first

DEFAULT_LIMIT = 100  # items of a page with a cursor and without a limit
VALID_DAYS = 7  # after the day on which a reading began
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
INVERTED = bytes(reversed(range(256)))
LAST = b"\xff" * 4  # sorts after each inverted character


def is_newest_first(query: ReleaseQuery) -> bool:
    """Return whether a list begins with the newest releases that are out, or those last seen."""
    return query.sort in ("-released", "-seen") and query.upcoming != "only"


def first_page(query: ReleaseQuery) -> ReleaseQuery:
    """Return the query of the first page of all that a query with a cursor goes through.

    A feed in the order of its entries leads on from its own address; others need a `limit`.
    """
    first = query.model_copy(update={"cursor": None, "offset": None, "release_limit": None})
    if first.limit or (first.leads_on and is_newest_first(query)):
        return first
    return first.model_copy(update={"limit": DEFAULT_LIMIT})


class Position(NamedTuple):
    """Where a page begins: right after `place`, or at the very start without one.

    `day` is the day on which the reading began, in the zone of its query.
    """

    baseline: Baseline
    day: date
    place: Place | None = None


class Facts(NamedTuple):
    """What places a release: its values of the time when the reading began."""

    release_date: str | None
    created_at: datetime
    position: int
    spotify_id: str
    name: str


def facts_of(album: AlbumEntry) -> Facts:
    """Return what places a release by its present values."""
    name = album.text.partition("\n")[0]
    return Facts(album.release_date, album.created_at, album.position, album.spotify_id, name)


@dataclass(frozen=True, slots=True)
class Page:
    """Items in order, and the place after which the next page begins; None after the last page."""

    items: Sequence[Any]
    end: Place | None


class Found(NamedTuple):
    """A page that has been read, and the position at which it begins."""

    page: Page
    position: Position


def order_of(query: ReleaseQuery) -> Order:
    """Return the order of a query's releases.

    `shown` is that by when lists without upcoming releases first show them.
    """
    name = query.sort.removeprefix("-")
    if name == "seen":
        return "shown" if query.upcoming == "exclude" else "seen"
    return "name" if name == "name" else "released"


def place_of(order: Order, facts: Facts, where: tzinfo = UTC) -> Place:
    """Return the place of a release in an order; `where` is the zone of the query."""
    dated = facts.release_date or ""
    rest = microseconds(facts.created_at), facts.position, facts.spotify_id
    if order == "name":
        return facts.name[:NAME_LENGTH], facts.spotify_id
    if order == "released":
        return dated, *rest
    if order == "seen":
        return rest
    seen = facts.created_at.astimezone(where).date().isoformat()
    return (dated, 0, *rest) if dated > seen else (seen, 1, *rest)


def rank(order: Order, place: Place) -> tuple[Any, ...]:
    """Return a key that sorts places: latest first, or by name.

    A last value beyond those of the order, the index of a credit, ascends.
    """
    if order == "name":
        return place
    texts = 0 if order == "seen" else 1
    numbers = 2 if order == "shown" else 1
    head: list[Any] = [_inverted(str(each)) for each in place[:texts]]
    head += [-int(each) for each in place[texts : texts + numbers]]
    return *head, *place[texts + numbers :]


def follows_rank(order: Order, sort: str) -> bool:
    """Return whether a sort has the order of `rank`, not the reverse."""
    return sort.startswith("-") is not (order == "name")


def _inverted(text: str) -> bytes:
    """Return a key in the reverse order of texts, in which a longer one comes before its start."""
    return text.encode("utf-32-be").translate(INVERTED) + LAST


def microseconds(moment: datetime) -> int:
    """Return a time as microseconds since 1970."""
    return (moment - EPOCH) // MICROSECOND


def moment_of(value: int) -> datetime:
    """Return the time of `microseconds`."""
    return EPOCH + value * MICROSECOND


def is_over(day: date, today: date) -> bool:
    """Return whether a reading that began on `day` has ended, or has not begun yet."""
    return not day - DAY <= today <= day + VALID_DAYS * DAY


def prefix_is_whole(query: ReleaseQuery, upcoming: int, depth: int) -> bool:
    """Return whether the start of a list is complete in a snapshot that does not hold everything.

    `upcoming` is how many upcoming releases the snapshot has, of at most `depth`. The nearest ones
    are the last ones of a descending order.
    """
    order = order_of(query)
    if order == "name" or not query.sort.startswith("-") or "versions" in query.exclude:
        return False
    return query.upcoming == "exclude" or (query.upcoming == "include" and upcoming < depth)


def count_upcoming(release_dates: Sequence[str | None], day: date) -> int:
    """Return how many of some release dates are after a day."""
    text = day.isoformat()
    return sum(is_upcoming(each, text) for each in release_dates)
