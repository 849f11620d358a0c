"""Who follows from a place that the journal does not reach is told so, and nobody else is."""

import asyncio
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session
from structlog.testing import capture_logs

from server.app.application import Application
from server.catalog.journal import JournalPage, Place
from server.database.executor import Database
from server.openapi.change_schemas import ChangesPage, OutOfReach, ReleaseSummary
from server.serving.streams.broadcast import PAGE, Broadcast
from server.storage import changes, sweeps
from tests.support.client import Client
from tests.support.event_streams import (
    EventClient,
    MakeBroadcast,
    forget_for_a_year,
    happen,
    journal_of,
)
from tests.support.examples import albums, sweep

FAR = datetime.now(UTC) + timedelta(days=1)
Serve = Callable[..., Any]


def execute(database: Database, *statements: str) -> None:
    with database.engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def prune(database: Database, most: int) -> None:
    """What retention does with so many of the oldest entries."""
    with Session(database.engine) as session, session.begin():
        assert changes.prune(session, FAR, most) == most


def waste(database: Database, count: int) -> None:
    """A sync that is rolled back uses up numbers."""
    with Session(database.engine) as session:
        sweeps.record_sweep(session, sweep(albums(count, 900)), FAR, lambda: FAR)
        session.rollback()


@pytest.fixture
def asking(serve: Serve) -> Callable[..., Any]:
    """Ask a server for `/api/changes/` with these parameters."""

    async def begin() -> Callable[..., Any]:
        freshet: Application = await serve()

        async def ask(method: str = "GET", **parameters: int) -> Any:
            query = "&".join(f"{name}={value}" for name, value in parameters.items())
            client = Client(freshet)
            answer = await client.fetch(f"/api/changes/?{query}", method)
            client.http.close()
            return answer

        return ask

    return begin


def page_of(answer: Any) -> tuple[list[int], int, bool]:
    """The numbers that a page tells, where the next one begins, and whether that is the end."""
    assert answer.code == 200, answer.body
    page = ChangesPage.model_validate_json(answer.body)
    return [each.seq for each in page.items], page.next_after, page.up_to_date


def refusal(answer: Any) -> tuple[int | None, int, int]:
    assert answer.code == 410, answer.body
    told = OutOfReach.model_validate_json(answer.body)
    assert told.type == "/problems/journal-out-of-reach"
    assert "/api/albums/" in (told.detail or "")
    return told.oldest, told.newest, told.begin_after


@pytest.mark.gen_test
async def test_a_journal_without_entries_reaches_from_0_to_0(asking: Any) -> None:
    ask = await asking()
    assert page_of(await ask()) == page_of(await ask(after=0)) == ([], 0, True)
    assert refusal(await ask(after=5)) == (None, 0, 0)


@pytest.mark.gen_test
async def test_a_place_before_what_is_kept_or_ahead_of_it_is_gone(
    asking: Any, database: Database
) -> None:
    happen(database, albums(6))
    prune(database, 3)
    ask = await asking()
    assert page_of(await ask()) == ([4, 5, 6], 6, True)
    assert page_of(await ask(after=3)) == ([4, 5, 6], 6, True), "just before the oldest"
    assert page_of(await ask(after=6)) == ([], 6, True)
    for after in (0, 1, 2, 7, 2**53):
        assert refusal(await ask(after=after)) == (4, 6, 6), after
    happen(database, albums(8))
    assert page_of(await ask(after=6)) == ([7, 8], 8, True), "so one begins again where it said"


@pytest.mark.gen_test
async def test_a_refusal_is_open_to_all_and_kept_by_nobody(asking: Any, database: Database) -> None:
    happen(database, albums(1))
    ask = await asking()
    answer, head = await ask(after=2), await ask("HEAD", after=2)
    assert (answer.code, head.code, head.body) == (410, 410, b"")
    for each in (answer, head):
        assert each.headers["Content-Type"] == "application/problem+json"
        assert each.headers["Access-Control-Allow-Origin"] == "*"
        assert each.headers["Cache-Control"] == "no-store"


@pytest.mark.gen_test
async def test_numbers_that_were_never_used_are_not_missed(asking: Any, database: Database) -> None:
    waste(database, 3)
    happen(database, albums(1))
    waste(database, 3)
    happen(database, albums(3))
    assert [each.seq for each in journal_of(database)] == [4, 9, 10]
    ask = await asking()
    for after, rest in ((0, [4, 9, 10]), (2, [4, 9, 10]), (4, [9, 10]), (7, [9, 10])):
        assert page_of(await ask(after=after)) == (rest, 10, True)
    prune(database, 1)
    for after in (4, 6, 8):
        assert page_of(await ask(after=after)) == ([9, 10], 10, True)
    assert refusal(await ask(after=3)) == (9, 10, 10)


@pytest.mark.gen_test
async def test_when_all_is_deleted_the_last_number_is_remembered(
    asking: Any, database: Database
) -> None:
    happen(database, albums(4))
    prune(database, 4)
    ask = await asking()
    assert page_of(await ask()) == page_of(await ask(after=4)) == ([], 4, True)
    assert refusal(await ask(after=3)) == (None, 4, 4)
    assert refusal(await ask(after=5)) == (None, 4, 4)
    happen(database, albums(5))
    assert page_of(await ask(after=4)) == ([5], 5, True)


@pytest.mark.gen_test
async def test_the_last_page_says_that_it_is_the_last(asking: Any, database: Database) -> None:
    happen(database, albums(5))
    ask = await asking()
    assert page_of(await ask(limit=2)) == ([1, 2], 2, False)
    assert page_of(await ask(after=2, limit=2)) == ([3, 4], 4, False)
    assert page_of(await ask(after=4, limit=2)) == ([5], 5, True)
    assert page_of(await ask(limit=5)) == ([1, 2, 3, 4, 5], 5, True)


@pytest.mark.gen_test
async def test_what_is_deleted_while_pages_are_read_is_noticed(
    asking: Any, database: Database
) -> None:
    happen(database, albums(6))
    ask = await asking()
    _, place, _ = page_of(await ask(limit=2))
    prune(database, 2)
    told, place, _ = page_of(await ask(after=place, limit=1))
    assert told == [3]
    prune(database, 2)
    assert refusal(await ask(after=place)) == (5, 6, 6)


def told_by(reset: bytes) -> dict[str, Any]:
    content: dict[str, Any] = orjson.loads(reset)
    assert content.pop("kind") == "reset"
    assert "/api/albums/" in content.pop("detail")
    return content


@pytest.mark.parametrize("held", [10, 1000], ids=["behind what is held", "within it"])
@pytest.mark.gen_test
async def test_a_stream_from_a_place_out_of_reach_begins_with_a_reset(
    controlled: MakeBroadcast, database: Database, held: int
) -> None:
    happen(database, albums(20))
    served = controlled(held=held)
    await served.broadcast.refresh()
    prune(database, 3)
    await served.broadcast.refresh()
    ears = []
    for place in (0, 2, 21, 99):
        by_header = await EventClient.open(served.port, after=place)
        by_address = await EventClient.open(served.port, path=f"/api/events?after={place}")
        for ear in (by_header, by_address):
            assert ear.last_id == place, "cut off here, it would come back and be told again"
            seq, kind, data = await ear.event()
            assert (seq, kind) == (20, "reset")
            assert told_by(data) == {"oldest": 4, "newest": 20, "begin_after": 20}
        ears += [by_header, by_address]
    happen(database, albums(21))
    await served.broadcast.refresh()
    for ear in ears:
        assert await ear.ids(1) == [21]
        ear.close()


@pytest.mark.gen_test
async def test_the_place_before_the_oldest_entry_is_within_reach(
    controlled: MakeBroadcast, database: Database
) -> None:
    happen(database, albums(20))
    prune(database, 3)
    for held in (10, 1000):
        ear = await EventClient.open(controlled(held=held).port, after=3)
        assert await ear.ids(17) == list(range(4, 21))
        ear.close()


@pytest.mark.gen_test
async def test_who_has_heard_more_than_this_process_has_read_is_not_reset(
    controlled: MakeBroadcast, database: Database
) -> None:
    """As when a client of one process comes back to another that the notice has not reached."""
    happen(database, albums(3))
    late = controlled(keepalive=0.05)
    await late.broadcast.refresh()
    happen(database, albums(5))
    ear = await EventClient.open(late.port, after=5)
    between = await EventClient.open(late.port, after=4)
    assert await ear.reader.readuntil(b"\n\n") == b":\n\n"
    assert await between.ids(1) == [5]
    happen(database, albums(7))
    await late.broadcast.refresh()
    assert await ear.ids(2) == await between.ids(2) == [6, 7]
    for each in (ear, between):
        each.close()


@pytest.mark.gen_test
async def test_news_that_come_while_the_database_is_asked_in_vain_are_told_at_once(
    database: Database,
) -> None:
    happen(database, albums(3))
    asked, answer = asyncio.Event(), asyncio.Event()

    async def read(after: int, limit: int) -> JournalPage:
        piece = await database.run(changes.read, after, limit)
        if limit == PAGE:  # for one listener
            asked.set()
            await answer.wait()
        return piece

    broadcast = Broadcast(read, lambda limit: database.run(changes.read_latest, limit))
    await broadcast.refresh()
    happen(database, albums(4))
    follower = await broadcast.follow(Place(4))
    hearing = asyncio.create_task(follower.next(5))
    await asked.wait()
    happen(database, albums(5))
    await broadcast.refresh()
    answer.set()
    async with asyncio.timeout(30):
        assert (await hearing).startswith(b"id: 5-")


@pytest.mark.gen_test
async def test_who_pages_through_what_is_deleted_meanwhile_is_reset(
    controlled: MakeBroadcast, database: Database
) -> None:
    happen(database, albums(3 * PAGE))
    broadcast = controlled(held=10).broadcast
    follower = await broadcast.follow(Place(0))
    assert (await follower.next(1)).startswith(b"id: 1-")
    assert follower.position.seq <= PAGE
    prune(database, 2 * PAGE)
    (reset,) = (await follower.next(1)).split(b"\n\n")[:-1]
    assert re.match(rb"id: 300-[0-9a-f]{8}\nevent: reset\n", reset)
    assert told_by(reset.partition(b"data: ")[2])["oldest"] == 2 * PAGE + 1
    assert follower.position.seq == 3 * PAGE


@pytest.mark.gen_test
async def test_who_has_heard_all_hears_of_deletions_and_of_nothing_else(
    serve: Serve, database: Database
) -> None:
    happen(database, albums(3))
    happen(database, albums(3))
    execute(database, "UPDATE changes SET at = now() - interval '1 year'")
    freshet: Application = await serve()
    ear = await EventClient.open(freshet.port)
    await freshet.database.run(forget_for_a_year)
    await freshet.retention.clear()
    assert (await ear.event())[:2] == (4, "deleted")
    assert freshet.broadcast.ring is not None
    reach = freshet.broadcast.ring.reach
    assert (reach.oldest, reach.newest, reach.floor) == (4, 4, 3)
    happen(database, albums(3))
    assert (await ear.event())[1] == "added"
    ear.close()


@pytest.mark.parametrize("skipped", [0, 2], ids=["used again", "skipped"])
@pytest.mark.gen_test
async def test_a_place_in_a_journal_before_a_backup_was_restored_is_out_of_reach(
    serve: Serve, database: Database, skipped: int
) -> None:
    """Also once the journal has grown beyond it, and whether or not its number was used again."""
    happen(database, albums(8))
    lost, kept = str(journal_of(database)[-1].place), str(journal_of(database)[4].place)
    execute(
        database,
        "DELETE FROM changes WHERE seq > 5",
        "DELETE FROM albums WHERE id > 5",
        f"SELECT setval(pg_get_serial_sequence('changes', 'seq'), {6 + skipped})",
    )
    happen(database, albums(12))
    freshet: Application = await serve()
    client = Client(freshet)
    answers = {
        after: await client.fetch(f"/api/changes/?after={after}") for after in (lost, kept, "8")
    }
    client.http.close()
    assert refusal(answers[lost])[0] == 1
    newest = journal_of(database)[-1].place
    for after in (kept, "8"):
        assert orjson.loads(answers[after].body)["place"] == str(newest)
    for held in (True, False):  # whether the entries are in memory
        if not held:
            prune(database, 2)
            freshet.broadcast.ring = None
            await freshet.broadcast.refresh()
        behind = await EventClient.open(freshet.port, after=lost)
        assert behind.place == lost
        assert (await behind.event())[:2] == (newest.seq, "reset")
        assert behind.place == str(newest)
        on = await EventClient.open(freshet.port, after=kept)
        assert (await on.event())[1] == "added"
        for each in (behind, on):
            each.close()


@pytest.mark.gen_test
async def test_the_place_of_the_last_deleted_entry_is_within_reach_and_only_that_one(
    asking: Any, serve: Serve, database: Database
) -> None:
    happen(database, albums(4))
    place = journal_of(database)[-1].place
    prune(database, 4)
    client = Client(await serve())
    known = await client.fetch(f"/api/changes/?after={place}")
    assert orjson.loads(known.body)["place"] == str(place)
    other = await client.fetch(f"/api/changes/?after={place.seq}-00000000")
    assert refusal(other) == (None, 4, 4)
    execute(database, "UPDATE journal_floor SET mark = ''")  # by an older version
    assert (await client.fetch(f"/api/changes/?after={place}")).code == 200
    for wrong in (f"{place}0", f"{place.seq}-", "-5", "5-ABCDEF01", f"{2**53 + 1}"):
        assert (await client.fetch(f"/api/changes/?after={wrong}")).code == 400, wrong
    client.http.close()


@pytest.mark.gen_test
async def test_lists_are_read_again_when_the_database_was_replaced_under_a_server(
    serve: Serve, database: Database
) -> None:
    happen(database, albums(3))
    freshet: Application = await serve()
    execute(database, "DELETE FROM changes", "DELETE FROM albums WHERE id > 1")
    await freshet._catch_up()
    assert freshet.cache.snapshot is not None
    assert len(freshet.cache.snapshot.albums) == 1


@pytest.mark.parametrize(
    "restored",
    [
        ["DELETE FROM changes WHERE seq > 5"],
        ["DELETE FROM changes"],
        ["TRUNCATE changes RESTART IDENTITY", "TRUNCATE albums, artists CASCADE"],
    ],
    ids=["a backup", "an empty journal", "a new database"],
)
@pytest.mark.parametrize("more", [0, 20], ids=["at once", "when it has grown beyond"])
@pytest.mark.gen_test
async def test_a_database_that_was_replaced_resets_everybody_once(
    controlled: MakeBroadcast, database: Database, restored: list[str], more: int
) -> None:
    happen(database, albums(12))
    served = controlled()
    waiting = await EventClient.open(served.port)
    behind = await served.broadcast.follow(Place(8))
    execute(database, *restored)
    happen(database, albums(more, 100))
    newest = max((each.seq for each in journal_of(database)), default=0)
    with capture_logs() as logs:
        await served.broadcast.refresh()
        await served.broadcast.refresh()
    assert [line["event"] for line in logs] == ["journal_replaced"]
    assert (await waiting.event())[:2] == (newest, "reset")
    assert re.match(rb"id: %d(-[0-9a-f]{8})?\nevent: reset\n" % newest, await behind.next(1))
    happen(database, albums(more + 1, 100))
    last = journal_of(database)[-1].seq
    await served.broadcast.refresh()
    while waiting.last_id != last:
        assert (await waiting.event())[1] in ("added", "gone")
    assert b"event: added\n" in await behind.next(1)
    waiting.close()


@pytest.mark.gen_test
async def test_where_the_database_is_away_nobody_is_reset_on_suspicion(
    controlled: MakeBroadcast, database: Database
) -> None:
    happen(database, albums(3))
    served = controlled(keepalive=0.05)
    await served.broadcast.refresh()
    served.away = True
    ear = await EventClient.open(served.port, after=99)
    for _ in range(2):
        assert await ear.reader.readuntil(b"\n\n") == b":\n\n"
    served.away = False
    assert (await ear.event())[1] == "reset"
    ear.close()


@pytest.mark.gen_test
async def test_unnamed_events_reach_those_who_only_wait_for_messages(
    controlled: MakeBroadcast, database: Database
) -> None:
    happen(database, albums(3))
    served = controlled()
    ear = await EventClient.open(served.port, path="/api/events?unnamed=1&after=1")
    named = await EventClient.open(served.port, path="/api/events?unnamed=0&after=1")
    reset = await EventClient.open(served.port, after=9, path="/api/events?unnamed=1")
    for seq in (2, 3):
        block = await ear.reader.readuntil(b"\n\n")
        first, data = block.removesuffix(b"\n\n").split(b"\n")
        assert first.startswith(b"id: %d-" % seq)
        change = orjson.loads(data.removeprefix(b"data: "))
        assert (change["seq"], change["kind"]) == (seq, "added")
        ReleaseSummary.model_validate(change["release"])
        assert (await named.event()) == (seq, "added", data.removeprefix(b"data: "))
    first, data = (await reset.reader.readuntil(b"\n\n")).removesuffix(b"\n\n").split(b"\n")
    assert first.startswith(b"id: 3-")
    assert told_by(data.removeprefix(b"data: "))["begin_after"] == 3
    for each in (ear, named, reset):
        each.close()
    client = Client(served)
    for wrong in ("2", "x", "true", ""):
        answer = await client.fetch(f"/api/events?unnamed={wrong}", "HEAD")
        assert answer.code == 400, wrong
    client.http.close()


@pytest.mark.gen_test
async def test_a_time_that_no_calendar_here_has_keeps_no_other_change_from_being_read(
    asking: Any, database: Database
) -> None:
    happen(database, albums(3))
    ask = await asking()
    for at in ("infinity", "-infinity", "12345-01-01Z", "0044-01-01 BC"):
        execute(database, f"UPDATE changes SET at = '{at}' WHERE seq = 2")
        assert page_of(await ask()) == ([1, 2, 3], 3, True), at
