"""The fast lane holds whatever clients do: slow, silent, endless, gone, or too many."""

import asyncio
import os
import resource
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from structlog.testing import capture_logs

from server.app.application import Application
from server.http.connections.acceptor import Acceptor
from server.http.connections.head_limits import IDLE_SECONDS
from server.http.fast_lane import FastLane
from server.http.handoff_stream import HandoffStream
from tests.support.sockets import Connect, quiet_server
from tests.support.waiting import until

REQUEST = b"GET /api/artists/ HTTP/1.1\r\nHost: freshet\r\n\r\n"
END = b"}"
MANY = 300  # answers of 40 kB, more than any system's buffers hold

start = quiet_server(20)  # its default answer is about 40 kB


async def answer(client: socket.socket, request: bytes = REQUEST) -> bytes:
    """Ask, and read one whole answer."""
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(client, request)
    return await read_one(client)


async def read_one(client: socket.socket) -> bytes:
    loop, got = asyncio.get_running_loop(), b""
    async with asyncio.timeout(30):
        while b"\r\n\r\n" not in got:
            chunk = await loop.sock_recv(client, 65536)
            assert chunk, "closed"
            got += chunk
        head, _, body = got.partition(b"\r\n\r\n")
        length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
        while len(body) < length:
            body += await loop.sock_recv(client, length - len(body))
    assert len(body) == length
    return head + b"\r\n\r\n" + body


def lane_of(freshet: Application) -> FastLane:
    assert freshet.web_server.lane is not None
    return freshet.web_server.lane


@pytest.mark.gen_test
async def test_a_slow_reader_gets_every_byte_and_holds_up_nobody(
    start: Any, connect: Connect
) -> None:
    freshet = await start()
    slow, quick = await connect(freshet, 2048), await connect(freshet)
    expected = await answer(quick)
    loop = asyncio.get_running_loop()
    sending = asyncio.create_task(loop.sock_sendall(slow, MANY * REQUEST))
    await until(lambda: lane_of(freshet).busy)
    assert (await answer(quick)).endswith(END)
    received = bytearray()
    async with asyncio.timeout(30):
        while len(received) < MANY * len(expected):
            received += await loop.sock_recv(slow, 65536)
    await sending
    bodies = [each.partition(b"\r\n\r\n")[2] for each in received.split(b"HTTP/1.1 200 OK")[1:]]
    assert set(map(bytes, bodies)) == {expected.partition(b"\r\n\r\n")[2]}
    assert len(bodies) == MANY
    assert not lane_of(freshet).busy


@pytest.mark.gen_test
async def test_what_waits_for_a_slow_reader_is_bounded(start: Any, connect: Connect) -> None:
    freshet = await start()
    client = await connect(freshet, 2048)
    loop = asyncio.get_running_loop()
    sending = asyncio.create_task(loop.sock_sendall(client, 50_000 * REQUEST))
    await until(lambda: lane_of(freshet).busy)
    await asyncio.sleep(0.3)
    (waiting,) = [each for each in lane_of(freshet).connections if each.unsent]
    assert sum(map(len, waiting.unsent)) < 512 * 1024
    assert len(waiting.pending) <= 16 * 1024
    sending.cancel()


@pytest.mark.gen_test
async def test_who_says_nothing_is_closed_after_75_seconds_and_who_talks_is_not(
    start: Any, connect: Connect
) -> None:
    freshet = await start()
    lane = lane_of(freshet)
    silent, slow, talking = [await connect(freshet) for _ in range(3)]
    await answer(talking)
    await until(lambda: lane.idle == 3)
    for _ in range(IDLE_SECONDS - 5):
        lane.tick()
    assert lane.idle == 3
    assert (await answer(talking)).endswith(END)
    for _ in range(10):
        lane.tick()
    loop = asyncio.get_running_loop()
    assert await loop.sock_recv(silent, 1) == b""
    assert await loop.sock_recv(slow, 1) == b""
    assert (await answer(talking)).endswith(END)


@pytest.mark.gen_test
@pytest.mark.gen_test
async def test_clients_that_vanish_leave_nothing_behind(start: Any, connect: Connect) -> None:
    freshet = await start()
    lane = lane_of(freshet)
    loop = asyncio.get_running_loop()
    before = len(os.listdir("/proc/self/fd"))
    for number in range(60):
        client = await connect(freshet, 2048)
        await loop.sock_sendall(client, [b"", REQUEST, 30 * REQUEST, REQUEST[:20]][number % 4])
        if number % 2:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    await until(lambda: not lane.connections)
    await until(lambda: len(os.listdir("/proc/self/fd")) <= before)
    other = await connect(freshet)
    assert (await answer(other)).endswith(END)


@pytest.mark.gen_test
async def test_a_listener_that_is_found_gone_by_writing_is_no_crash(
    start: Any, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    freshet = await start()
    client = await connect(freshet)
    written = HandoffStream.write_to_fd

    def reset(stream: HandoffStream, data: memoryview) -> int:
        if b"retry:" in bytes(data):
            raise ConnectionResetError
        return written(stream, data)

    monkeypatch.setattr(HandoffStream, "write_to_fd", reset)
    with capture_logs() as logs:
        request = b"GET /api/events HTTP/1.1\r\nHost: freshet\r\n\r\n"
        await asyncio.get_running_loop().sock_sendall(client, request)
        await until(lambda: any(each["event"] == "http_request" for each in logs))
    assert "request_crashed" not in {each["event"] for each in logs}
    assert freshet.broadcast.listeners == 0


@pytest.mark.parametrize("ends", [False, True])
@pytest.mark.parametrize("behind", [REQUEST, 100_000 * b"x"], ids=["a request", "100 kB"])
@pytest.mark.gen_test
async def test_behind_a_stream_of_events_only_the_end_ends_it_and_nothing_keeps_the_loop_busy(
    start: Any, connect: Connect, behind: bytes, ends: bool
) -> None:
    freshet = await start()
    client = await connect(freshet)
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(client, b"GET /api/events HTTP/1.1\r\nHost: freshet\r\n\r\n" + behind)
    if ends:
        client.shutdown(socket.SHUT_WR)
    assert b"text/event-stream" in await loop.sock_recv(client, 65536)
    began = time.process_time()
    await asyncio.sleep(0.5)
    assert time.process_time() - began < 0.25
    lent = [each.stream for each in freshet.web_server._server._connections]
    assert all(not each._received for each in lent), "nothing is kept of it"
    assert len(lent) == (not ends)
    is_open = False
    try:
        async with asyncio.timeout(0.1):
            while await loop.sock_recv(client, 65536):
                pass
    except TimeoutError:
        is_open = True
    assert is_open is not ends


@pytest.mark.gen_test
async def test_a_client_that_never_stops_pipelining_does_not_keep_others_waiting(
    start: Any, connect: Connect
) -> None:
    freshet = await start()
    loop = asyncio.get_running_loop()
    greedy, other = await connect(freshet), await connect(freshet)
    request = b"HEAD /api/artists/ HTTP/1.1\r\nHost: freshet\r\n\r\n"
    taken = 0

    async def ask() -> None:
        while True:
            await loop.sock_sendall(greedy, 200 * request)

    async def take() -> None:
        nonlocal taken
        while True:
            taken += len(await loop.sock_recv(greedy, 1 << 20))

    tasks = [asyncio.create_task(ask()), asyncio.create_task(take())]
    await until(lambda: taken > 1_000_000)
    for _ in range(20):
        async with asyncio.timeout(10):
            assert (await answer(other)).endswith(END)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.gen_test
async def test_a_new_snapshot_in_the_middle_of_a_pipeline_is_served_at_once(
    start: Any, connect: Connect
) -> None:
    freshet = await start()
    loop = asyncio.get_running_loop()
    client, other = await connect(freshet, 4096), await connect(freshet)
    old = await answer(other)
    sending = asyncio.create_task(loop.sock_sendall(client, MANY * REQUEST))
    await until(lambda: lane_of(freshet).busy)

    def rename(session: Any) -> None:
        session.connection().exec_driver_sql("UPDATE artists SET name = 'Changed' || id")

    await freshet.database.run(rename)
    await freshet.cache.refresh()
    assert b"Changed" in await answer(other)
    assert b"Changed" not in old
    answers = [await read_one(client) for _ in range(MANY)]
    await sending
    changed = [b"Changed" in each for each in answers]
    assert changed == sorted(changed), "never new and then old again"
    assert changed[-1]
    assert not changed[0]


@pytest.mark.gen_test
async def test_answers_are_forgotten_when_their_time_is_up(start: Any, connect: Connect) -> None:
    freshet = await start(cache_ttl=1)
    client = await connect(freshet)
    await answer(client)
    lane = lane_of(freshet)
    assert freshet.head_cache is not None
    assert freshet.head_cache.answers
    await asyncio.sleep(1.1)
    lane.tick()
    assert not freshet.head_cache.answers
    assert (await answer(client)).endswith(END)


@pytest.mark.slow
@pytest.mark.gen_test(timeout=60)
async def test_ten_thousand_idle_connections_are_held_and_others_served(
    start: Any, connect: Connect
) -> None:
    freshet = await start()
    most = min(10_000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2 - 200)
    clients = []
    for _ in range(most):
        clients.append(await connect(freshet))
    await until(lambda: lane_of(freshet).idle >= most, seconds=60)
    assert (await answer(clients[most // 2])).endswith(END)
    for each in clients:
        each.close()
    await until(lambda: not lane_of(freshet).connections, seconds=60)


@pytest.fixture
def few_descriptors() -> Iterator[Callable[[int], None]]:
    """Lets a test leave the process only so many descriptors more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    fillers: list[int] = []

    def leave(count: int) -> None:
        highest = max(int(name) for name in os.listdir("/proc/self/fd"))
        while not fillers or fillers[-1] < highest:
            fillers.append(os.dup(0))
        resource.setrlimit(resource.RLIMIT_NOFILE, (fillers[-1] + 1 + count, hard))

    yield leave
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    for each in fillers:
        os.close(each)


GREEDY = {
    "silent": b"",
    "half a head": b"GET /api/artists/ HTTP/1.1\r\nHost: freshet\r\nX-A: ",
    "half a body": b"POST /api/sync/ HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc",
    "an event stream": b"GET /api/events HTTP/1.1\r\nHost: freshet\r\n\r\n",
    "unread answers": MANY * REQUEST,
    "unread answers of Tornado": 60 * REQUEST.replace(b"Host", b"X-A: 1\r\nX-A: 2\r\nHost"),
}


@pytest.mark.parametrize("greeting", GREEDY.values(), ids=GREEDY)
@pytest.mark.gen_test
async def test_without_descriptors_what_is_not_being_answered_makes_room(
    start: Any, connect: Connect, few_descriptors: Callable[[int], None], greeting: bytes
) -> None:
    freshet = await start()
    loop = asyncio.get_running_loop()
    reading = await connect(freshet)  # an answer in progress, which is not cut
    await loop.sock_sendall(reading, MANY * REQUEST)
    greedy = [await connect(freshet, 2048) for _ in range(8)]
    for each in greedy:
        each.send(greeting)
    await asyncio.sleep(0.2)
    got = bytearray()
    with ExitStack() as stack:
        late = [stack.enter_context(socket.socket()) for _ in range(4)]
        few_descriptors(1)
        began = time.monotonic()
        for each in late:
            each.setblocking(False)
            await loop.sock_connect(each, ("127.0.0.1", freshet.port))
            for _ in range(3):
                lane_of(freshet).tick()
                got += await loop.sock_recv(reading, 1 << 20)
            assert (await answer(each)).endswith(END)
        assert time.monotonic() - began < 5
        async with asyncio.timeout(30):
            while got.count(b"HTTP/1.1 200 ") < MANY or not got.endswith(END):
                chunk = await loop.sock_recv(reading, 1 << 20)
                assert chunk, f"the answer in progress was cut: {len(got)} bytes"
                got += chunk
    samples = freshet.metrics.text().decode()
    assert 'freshet_connections_closed_total{reason="descriptors"} 0.0' not in samples


@pytest.mark.gen_test
async def test_without_descriptors_it_waits_makes_room_and_goes_on(
    start: Any, connect: Connect, few_descriptors: Callable[[int], None]
) -> None:
    freshet = await start()
    for _ in range(8):
        await connect(freshet)
    await until(lambda: lane_of(freshet).idle == 8)
    lane_of(freshet).tick()
    few_descriptors(4)
    with capture_logs() as logs:
        late = [await connect(freshet) for _ in range(3)]
        for each in late:
            assert (await answer(each)).endswith(END)
    events = [line["event"] for line in logs]
    assert 1 <= events.count("connections_waiting") < 5, "it waits, and does not spin"


@pytest.mark.gen_test
async def test_at_the_end_what_is_asked_is_answered_and_nobody_is_cut_off(
    start: Any, connect: Connect
) -> None:
    freshet = await start()
    loop = asyncio.get_running_loop()
    idle, slow = await connect(freshet), await connect(freshet, 2048)
    talking = [await connect(freshet) for _ in range(8)]
    served, failed = 0, 0

    async def talk(client: socket.socket) -> None:
        nonlocal served, failed
        while True:
            try:
                said = await answer(client)
            except (OSError, AssertionError):
                failed += 1
                return
            served += 1
            if b"Connection: close" in said:
                assert await loop.sock_recv(client, 1) == b""
                return

    await loop.sock_sendall(slow, MANY * REQUEST)
    tasks = [asyncio.create_task(talk(each)) for each in talking]
    await until(lambda: served > 50)
    stopping = asyncio.create_task(freshet.stop())
    got = b""
    while chunk := await loop.sock_recv(slow, 65536):
        got += chunk
    assert got.count(b"HTTP/1.1 200") == got.count(b"Content-Length") > 0
    assert got.endswith(END)
    await asyncio.gather(*tasks)
    assert failed == 0
    assert await loop.sock_recv(idle, 1) == b""
    await stopping


@pytest.mark.gen_test
async def test_who_waits_to_be_accepted_at_the_end_is_taken_in(
    start: Any, connect: Connect
) -> None:
    freshet = await start()
    client = await connect(freshet)
    assert isinstance(freshet.web_server.acceptor, Acceptor)
    asked = asyncio.create_task(answer(client))
    stopping = asyncio.create_task(freshet.stop())
    assert (await asked).endswith(END)
    await stopping
    client.close()
