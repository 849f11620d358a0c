"""A cursor is of one query and one server; another one is refused, and told where to begin anew."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from server.catalog import query
from server.catalog.query import AlbumsQuery, ArtistsQuery, AtomQuery, ReleaseQuery
from server.catalog.reading import Position
from server.catalog.snapshot import Baseline
from server.errors import DatabaseUnavailable, InvalidParameters
from server.serving.cursors import Cursors
from server.serving.pages import BeyondMemory, Start
from server.serving.readings import Readings

DAY = date(2026, 11, 20)
PLACE = ("2026-11-20", 1_763_600_000_000_000, 3, "4Uqs", "Ólafur")
POSITION = Position(Baseline(9, 8, 7), DAY, PLACE)
OLD, NEW = "o" * 32, "n" * 32
ROOT = "https://music.example.org"


def asked(wanted: str, kind: type[ReleaseQuery] = AlbumsQuery) -> ReleaseQuery:
    return query.parse(kind, wanted)


def refusal(cursors: Cursors, wanted: ReleaseQuery, today: date = DAY) -> str:
    with pytest.raises(InvalidParameters) as caught:
        cursors.read(wanted, today)
    (fault,) = caught.value.faults
    assert fault["parameter"] == "cursor"
    return str(fault["reason"])


def test_a_cursor_is_the_same_everywhere_and_good_after_its_key_has_been_rotated() -> None:
    wanted = asked("limit=5&type=album&sort=name")
    cursor = Cursors(OLD, ROOT).make(wanted, POSITION)
    assert Cursors(f"{OLD},{NEW}").make(asked("type=album&sort=name"), POSITION) == cursor
    for secret in (OLD, f"{NEW},{OLD}"):
        for changed in ("limit=9&", "include=markets&", ""):
            again = asked(f"{changed}type=album&sort=name&cursor={cursor}")
            assert Cursors(secret, ROOT).read(again, DAY) == POSITION
    assert Cursors(OLD).read(wanted, DAY) is None, "the first page has no cursor"
    begin = Position(POSITION.baseline, DAY)
    assert Cursors(OLD).read(wanted.after(Cursors(OLD).make(wanted, begin)), DAY) == begin


def test_a_cursor_that_is_of_no_use_is_refused_with_the_reason_and_the_first_page() -> None:
    cursors, wanted = Cursors(OLD, ROOT), asked("limit=5&type=album")
    cursor = cursors.make(wanted, POSITION)
    anew = f"begin anew at {ROOT}/api/albums/?limit=5&type=album"
    others = [asked(f"limit=5&cursor={cursor}"), asked(f"type=album&cursor={cursor}", ArtistsQuery)]
    for other in others:
        assert refusal(cursors, other).startswith("belongs to another query: ")
    mine = wanted.after(cursor)
    assert refusal(cursors.of_owner("me"), mine).startswith("belongs to another query: ")
    assert refusal(Cursors(NEW, ROOT), mine).endswith(f"no longer has; {anew}")
    for broken in (cursor[:-1], cursor + "A", cursor[:10] + "x" + cursor[11:], "x", "-_-_"):
        assert refusal(cursors, wanted.after(broken)).endswith(anew)
    for days in (-1, 0, 1, 7):
        assert cursors.read(mine, DAY + timedelta(days=days)) == POSITION
    for days in (-2, 8):
        assert refusal(cursors, mine, DAY + timedelta(days=days)) == f"has expired; {anew}"
    for kind, given, address in (
        (AlbumsQuery, "q=a&sort=name", "/api/albums/?limit=100&q=a&sort=name"),
        (ArtistsQuery, "limit=7&fields=id", "/api/artists/?limit=7&fields=id"),
        (AtomQuery, "kind=ep", "/feeds/albums.atom?kind=ep"),
        (AtomQuery, "limit=7", "/feeds/albums.atom?limit=7"),
        (AtomQuery, "sort=name", "/feeds/albums.atom?limit=100&sort=name"),
        (AtomQuery, "upcoming=only", "/feeds/albums.atom?limit=100&upcoming=only"),
    ):
        told = refusal(cursors, asked(f"{given}&cursor=hello", kind))
        assert told.endswith(f"begin anew at {ROOT}{address}")
    with pytest.raises(InvalidParameters):
        asked("cursor=" + "x" * 2000)
    with pytest.raises(InvalidParameters):
        asked("cursor=")


@pytest.mark.gen_test
async def test_without_the_database_a_first_page_ends_where_memory_does() -> None:
    async def fail(*_page: Any) -> None:
        raise DatabaseUnavailable("gone")

    async def build(start: Start) -> str:
        if not start.short:
            raise BeyondMemory(short=is_begun)
        return "what there is"

    readings, first = Readings(fail, Cursors(OLD)), asked("limit=5")
    is_begun = True
    now = datetime(2026, 11, 20, tzinfo=UTC)
    assert await readings.page(first, now, build) == "what there is"
    is_begun = False
    with pytest.raises(DatabaseUnavailable):
        await readings.page(first, now, build)
