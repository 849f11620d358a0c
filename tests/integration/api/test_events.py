"""The stream of changes: nothing missed, nothing told twice, nobody held up by anybody."""

import asyncio
import socket
import time
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session
from structlog.testing import capture_logs

from server.app.application import Application
from server.catalog.journal import JournalPage, JournalReach, Place
from server.database.executor import Database
from server.openapi.change_schemas import Change
from server.serving.streams.broadcast import PAGE, Broadcast
from tests.support.client import Client
from tests.support.event_streams import (
    EventClient,
    MakeBroadcast,
    Serve,
    forget_for_a_year,
    happen,
    journal_of,
    listen,
    spread,
)
from tests.support.examples import album, albums
from tests.support.metrics import samples_of
from tests.support.ports import free_port
from tests.support.servers import StartFreshet
from tests.support.standins import StartStandIn
from tests.support.waiting import until

LISTENERS = 300


@pytest.mark.gen_test
async def test_an_event_is_the_same_object_as_in_the_journal(
    serve: Serve, database: Database
) -> None:
    happen(database, albums(2))
    freshet = await serve()
    ear = await EventClient.open(freshet.port, after=0)
    head = ear.head.decode()
    for line in (
        "Content-Type: text/event-stream\r\n",
        "Cache-Control: no-store\r\n",
        "Access-Control-Allow-Origin: *\r\n",
        "X-Accel-Buffering: no\r\n",
        "X-Content-Type-Options: nosniff\r\n",
        'Ratelimit-Policy: "streams";q=100;qu="concurrent-requests"\r\n',
        'Ratelimit: "streams";r=99\r\n',
    ):
        assert line in head
    assert ear.greeting == b"retry: 5000\nid: 0\n\n"
    client = Client(freshet)
    page = orjson.loads((await client.fetch("/api/changes/")).body)
    for item in page["items"]:
        seq, kind, data = await ear.event()
        Change.model_validate_json(data)
        assert (seq, kind, orjson.loads(data)) == (item["seq"], item["kind"], item)
    client.http.close()
    ear.close()


@pytest.mark.gen_test
async def test_without_a_place_it_begins_with_what_comes_from_now_on(
    serve: Serve, database: Database
) -> None:
    happen(database, albums(3))
    freshet = await serve()
    ear = await EventClient.open(freshet.port)
    assert ear.last_id == journal_of(database)[-1].seq, "so that it could come back already"
    happen(database, albums(4))  # another process tells by NOTIFY
    assert (await ear.event())[0] == journal_of(database)[-1].seq
    by_address = await EventClient.open(freshet.port, path="/api/events?after=1")
    assert await by_address.ids(3) == [2, 3, 4]
    both = await EventClient.open(freshet.port, after=3, path="/api/events?after=1")
    assert await both.ids(1) == [4]
    for each in (ear, by_address, both):
        each.close()


@pytest.mark.gen_test
async def test_a_sync_and_a_clearing_of_its_own_arrive_too(
    start_freshet: StartFreshet, start_standin: StartStandIn, database: Database
) -> None:
    standin = start_standin(albums(2))
    freshet: Application = await start_freshet(standin)
    await until(lambda: freshet.syncer.seconds_left() > 0)
    ear = await EventClient.open(freshet.port)
    standin.catalogue.albums.insert(0, album(9))
    await freshet.syncer.sync()
    assert (await ear.event())[1] == "added"
    await freshet.database.run(forget_for_a_year)
    await freshet.retention.clear()
    assert (await ear.event())[1] == "deleted"
    ear.close()


@pytest.mark.gen_test
async def test_who_is_cut_off_again_and_again_misses_and_repeats_nothing(
    serve: Serve, database: Database
) -> None:
    """Also when the server is another one meanwhile, which has the journal only."""
    port, told, place = free_port(), [], "0"
    freshet = await serve(port=port)
    for number in range(6):
        happen(database, albums(number + 1, first=100 * number))
        ear = await EventClient.open(port, after=place)
        told += await ear.ids(number + 1)  # and not the one that went
        happen(database, albums(2, first=100 * number + 50))
        if number == 3:
            await freshet.stop()
            happen(database, albums(1, first=100 * number + 90))
            freshet = await serve(port=port)
        place = ear.place
        ear.close()
    ear = await EventClient.open(port, after=place)
    while told[-1] != journal_of(database)[-1].seq:
        told += await ear.ids(1)
    ear.close()
    assert told == [each.seq for each in journal_of(database)]


@pytest.mark.gen_test
async def test_who_is_behind_what_is_held_is_served_from_the_database(
    controlled: MakeBroadcast, database: Database
) -> None:
    happen(database, albums(2 * PAGE + 50))
    served = controlled(held=10)
    ears = [await EventClient.open(served.port, after=0) for _ in range(3)]
    expected = [each.seq for each in journal_of(database)]
    for told in await asyncio.gather(*(ear.ids(2 * PAGE + 50) for ear in ears)):
        assert told == expected
    happen(database, albums(40, first=1000))  # more than is held, at once
    reads = served.reads
    await served.broadcast.refresh()
    expected = [each.seq for each in journal_of(database)][len(expected) :]
    for told in await asyncio.gather(*(ear.ids(len(expected)) for ear in ears)):
        assert told == expected
    pages = len(expected) // (10 // 2) + 1
    assert served.reads - reads <= 2 * pages, "what is new is read once, and old pages are shared"
    for ear in ears:
        ear.close()


@pytest.mark.gen_test
async def test_who_keeps_up_costs_no_reading(controlled: MakeBroadcast, database: Database) -> None:
    served = controlled()
    ears = [await EventClient.open(served.port) for _ in range(10)]
    happen(database, albums(5))
    reads = served.reads
    await served.broadcast.refresh()
    assert [await ear.ids(5) for ear in ears] == [[1, 2, 3, 4, 5]] * 10
    assert served.reads == reads + 1
    for ear in ears:
        ear.close()


@pytest.mark.gen_test
async def test_in_a_silence_a_comment_comes_and_again(controlled: MakeBroadcast) -> None:
    ear = await EventClient.open(controlled(keepalive=0.05).port)
    began = time.monotonic()
    for _ in range(3):
        assert await ear.reader.readuntil(b"\n\n") == b":\n\n"
    assert 0.1 < time.monotonic() - began < 5
    ear.close()


@pytest.mark.gen_test
async def test_who_reads_nothing_is_dropped_and_nobody_else_notices(
    controlled: MakeBroadcast, database: Database
) -> None:
    served = controlled(send_timeout=1)
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.connect(("127.0.0.1", served.port))
    deaf.sendall(b"GET /api/events HTTP/1.1\r\nHost: x\r\n\r\n")
    ear = await EventClient.open(served.port)
    await until(lambda: served.broadcast.listeners == 2)
    happen(database, albums(900))
    with Session(database.engine) as session, session.begin():
        session.execute(
            text("UPDATE changes SET detail = jsonb_build_object('name', repeat('x', 1000))")
        )
    with capture_logs() as logs:
        await served.broadcast.refresh()
        assert len(await ear.ids(900)) == 900
        await until(lambda: served.broadcast.listeners == 1)
    assert [line["event"] for line in logs] == ["listener_dropped"]
    await until(lambda: served.web_server.in_flight == 1)
    deaf.close()
    ear.close()


@pytest.mark.gen_test
async def test_a_client_that_vanishes_leaves_nothing_behind(
    controlled: MakeBroadcast, database: Database
) -> None:
    served = controlled(max_followers=200)
    before = asyncio.all_tasks()
    with capture_logs() as logs:
        ears = [await EventClient.open(served.port) for _ in range(20)]
        for ear in ears[:10]:
            ear.close()
        for ear in ears[10:]:
            ear.writer.transport.abort()
        gone = asyncio.open_connection("127.0.0.1", served.port)
        _, writer = await gone  # and one that does not even wait for the answer
        writer.write(b"GET /api/events HTTP/1.1\r\nHost: x\r\n\r\n")
        writer.transport.abort()
        await until(lambda: not served.broadcast.listeners and not served.web_server.in_flight)
        happen(database, albums(1))
        await served.broadcast.refresh()
        await until(lambda: asyncio.all_tasks() <= before)
    assert logs == []


@pytest.mark.gen_test
async def test_metrics_count_the_streams_that_are_open(serve: Serve) -> None:
    freshet = await serve()

    async def counted() -> float:
        return (await samples_of(freshet))["freshet_event_listeners[1]"]

    assert await counted() == 0
    ears = [await EventClient.open(freshet.port) for _ in range(3)]
    assert (await Client(freshet).fetch("/api/events", "HEAD")).code == 200
    assert await counted() == 3, "who only asks for the headers does not listen"
    ears.pop().close()
    await until(lambda: freshet.broadcast.listeners == 2)
    assert await counted() == 2
    for ear in ears:
        ear.close()
    await until(lambda: not freshet.broadcast.listeners)
    assert await counted() == 0


@pytest.mark.gen_test
async def test_a_stop_ends_all_streams_at_once(serve: Serve) -> None:
    with capture_logs() as logs:
        freshet = await serve(access_log="off")
        ears = [await EventClient.open(freshet.port) for _ in range(50)]
        reader, writer = await asyncio.open_connection("127.0.0.1", freshet.port)
        writer.write(b"GET /api/events HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"\n\n")
        await until(lambda: freshet.broadcast.listeners == 51)
        began = time.monotonic()
        await freshet.stop()
        assert time.monotonic() - began < 3
        assert [await ear.rest() for ear in ears] == [b""] * 50
        assert (await reader.read()).endswith(b"0\r\n\r\n"), "an end, and no broken connection"
    told = {line["event"] for line in logs}
    assert not told & {"request_crashed", "task_crashed", "listener_dropped"}
    assert freshet.broadcast.listeners == 0
    for each in (*(ear.writer for ear in ears), writer):
        each.close()


@pytest.mark.gen_test
async def test_a_stop_waits_for_no_client_that_reads_nothing(
    controlled: MakeBroadcast, database: Database
) -> None:
    served = controlled()
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.connect(("127.0.0.1", served.port))
    happen(database, albums(900))
    deaf.sendall(b"GET /api/events?after=0 HTTP/1.1\r\nHost: x\r\n\r\n")
    await until(lambda: served.broadcast.listeners == 1)
    await asyncio.sleep(0.2)
    began = time.monotonic()
    await served.close()
    assert time.monotonic() - began < 3
    assert served.web_server.in_flight == 0
    deaf.close()


@pytest.mark.gen_test
async def test_there_is_room_for_so_many_and_not_one_more(controlled: MakeBroadcast) -> None:
    served = controlled(max_followers=2)
    ears = [await EventClient.open(served.port) for _ in range(2)]
    with pytest.raises(AssertionError, match=r"(?s)503.*Retry-After: 30"):
        await EventClient.open(served.port)
    ears[0].close()
    await until(lambda: served.broadcast.listeners == 1)
    (await EventClient.open(served.port)).close()
    ears[1].close()


@pytest.mark.gen_test
async def test_a_client_may_have_so_many_streams_and_others_still_have_theirs(serve: Serve) -> None:
    """Another client is one of another IPv4 address, or of another /64 of IPv6."""
    freshet = await serve(events_per_client=2, trusted_proxies="127.0.0.1")

    def at(address: str) -> str:
        return f"X-Forwarded-For: {address}\r\n"

    ears = [
        await EventClient.open(freshet.port, fields=at(f"2001:db8::{each}")) for each in range(2)
    ]
    client = Client(freshet)
    refused = await client.fetch("/api/events", X_Forwarded_For="2001:db8::9")
    client.http.close()
    assert (refused.code, refused.headers["Retry-After"]) == (429, "30")
    assert refused.headers["RateLimit-Policy"] == '"streams";q=2;qu="concurrent-requests"'
    assert refused.headers["RateLimit"] == '"streams";r=0'
    for other in ("2001:db8:0:1::1", "192.0.2.1", "192.0.2.2"):
        ears.append(await EventClient.open(freshet.port, fields=at(other)))
    ears.pop(0).close()
    await until(lambda: freshet.broadcast.listeners == 4)
    ears.append(await EventClient.open(freshet.port, fields=at("2001:db8::9")))
    client = Client(freshet)
    answer = await client.fetch("/api/events", X_Forwarded_For="2001:db8::1")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert orjson.loads(answer.body)["type"] == "/problems/too-many-streams"
    client.http.close()
    for ear in ears:
        ear.close()


@pytest.mark.gen_test
async def test_when_it_is_full_the_client_with_most_streams_makes_room_for_another(
    serve: Serve,
) -> None:
    freshet = await serve(trusted_proxies="127.0.0.1")
    freshet.broadcast._audience._max_streams = 4
    greedy = [
        await EventClient.open(freshet.port, fields="X-Forwarded-For: 192.0.2.1\r\n")
        for _ in range(4)
    ]
    others = [
        await EventClient.open(freshet.port, fields=f"X-Forwarded-For: 192.0.2.{each}\r\n")
        for each in (2, 3, 4)
    ]
    with pytest.raises(AssertionError, match="503"):
        await EventClient.open(freshet.port, fields="X-Forwarded-For: 192.0.2.5\r\n")
    for ear in greedy[:3]:
        assert await ear.rest() == b""
    assert freshet.broadcast.listeners == 4
    assert freshet.broadcast.shed(9) == 4
    for ear in (greedy[3], *others):
        assert await ear.rest() == b""
        ear.close()
    for ear in greedy[:3]:
        ear.close()


@pytest.mark.gen_test
async def test_a_database_that_is_away_ends_no_stream(
    controlled: MakeBroadcast, database: Database
) -> None:
    served = controlled(keepalive=0.05, held=10)
    served.away = True
    with pytest.raises(AssertionError, match=r"(?s)503.*Retry-After"):
        await EventClient.open(served.port)
    served.away = False
    happen(database, albums(30))
    await served.broadcast.refresh()
    served.away = True
    ear = await EventClient.open(served.port, after=0)
    assert await ear.reader.readuntil(b"\n\n") == b":\n\n"
    served.away = False
    assert await ear.ids(30) == list(range(1, 31))
    ear.close()


@pytest.mark.gen_test
async def test_methods_and_bad_places_are_answered_in_words(controlled: MakeBroadcast) -> None:
    client = Client(controlled())
    for place in ("x", "-1", "+1", "1.5", "", "9" * 30, str(2**53 + 1), "1, 2"):
        answer = await client.fetch("/api/events", Last_Event_ID=place)
        assert answer.code == 400, place
        (fault,) = orjson.loads(answer.body)["errors"]
        assert (fault["parameter"], fault["value"]) == ("Last-Event-ID", place)
    for query in ("after=x", "after=1&after=2", f"after={2**53 + 1}"):
        answer = await client.fetch(f"/api/events?{query}")
        assert answer.code == 400
        assert answer.headers["Content-Type"] == "application/problem+json"
    head = await client.fetch("/api/events", "HEAD")
    assert (head.code, head.body) == (200, b"")
    assert head.headers["Content-Type"] == "text/event-stream"
    assert "Content-Length" not in head.headers
    options = await client.fetch("/api/events", "OPTIONS")
    assert (options.code, options.headers["Access-Control-Allow-Headers"]) == (
        204,
        "*, Authorization",
    )
    refused = await client.fetch("/api/events", "POST")
    assert (refused.code, refused.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")
    client.http.close()


@pytest.mark.gen_test
async def test_hundreds_hear_of_a_change_within_a_second(serve: Serve, database: Database) -> None:
    freshet = await serve(access_log="off", events_per_client=LISTENERS)
    ears = await listen(freshet.port, LISTENERS)
    assert min([await spread(ears, database, number) for number in range(2)]) < 1
    for ear in ears:
        ear.close()


def test_a_position_is_found_in_what_is_held(database: Database) -> None:
    """The ring forgets in front, and knows from where on it has everything."""
    happen(database, albums(30))
    entries = journal_of(database)

    async def look() -> None:
        async def read(after: int, limit: int) -> JournalPage:
            return JournalPage(
                [each for each in entries[:known] if each.seq > after][:limit], reach()
            )

        async def read_latest(limit: int) -> JournalPage:
            return JournalPage(entries[:known][-limit:], reach())

        def reach() -> JournalReach:
            return JournalReach(1, known, 0)

        known = 3
        broadcast = Broadcast(read, read_latest, held=10)
        await broadcast.refresh()
        for known in (3, 5, 17, 30):
            await broadcast.refresh()
            for position in range(known + 1):
                rest = [each.seq for each in await broadcast.page(Place(position))]
                assert rest == [each.seq for each in entries[:known] if each.seq > position]

    asyncio.run(look())


def test_entries_are_told_with_their_time_in_utc(database: Database) -> None:
    happen(database, albums(1))
    (entry,) = journal_of(database)
    told = orjson.loads(entry.json)["at"]
    assert datetime.now(UTC) - datetime.fromisoformat(told) < timedelta(minutes=1)


@pytest.mark.gen_test
async def test_who_reads_while_many_write_misses_nothing(serve: Serve, database: Database) -> None:
    client = Client(await serve())
    writers = [
        asyncio.create_task(database.compute(happen, database, albums(3, first=10 * number)))
        for number in range(6)
    ]
    told, after = [], 0
    while True:
        over = all(writer.done() for writer in writers)
        answer = await client.fetch(f"/api/changes/?after={after}&limit=2")
        page = orjson.loads(answer.body)
        told += [each["seq"] for each in page["items"]]
        after = page["next_after"]
        if over and not page["items"]:
            break
    await asyncio.gather(*writers)
    assert told == [each.seq for each in journal_of(database)]
    assert len(told) >= 18
    client.http.close()


@pytest.mark.parametrize("behind", [0, 10_000, 60_000])
@pytest.mark.parametrize("early", [True, False])
@pytest.mark.gen_test
async def test_a_listener_that_has_gone_is_let_go_at_once_whatever_it_sent_behind(
    serve: Serve, behind: int, early: bool
) -> None:
    """A heartbeat that cannot be sent would tell it, too, but only after 15 seconds."""
    freshet = await serve()
    reader, writer = await asyncio.open_connection("127.0.0.1", freshet.port)
    writer.write(b"GET /api/events HTTP/1.1\r\nHost: x\r\n\r\n" + b"x" * behind)
    if early:
        writer.write_eof()
    async with asyncio.timeout(30):
        await reader.readuntil(b"id: ")
        if early:
            await reader.read()
        else:
            assert freshet.broadcast.listeners == 1
            writer.close()
        while freshet.broadcast.listeners:
            await asyncio.sleep(0.01)
    writer.close()
