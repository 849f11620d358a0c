"""A request has limits: its head in bytes, lines and seconds, its body in seconds."""

import asyncio
import socket
import struct
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from tornado.httputil import HTTPServerRequest
from tornado.web import RequestHandler
from tornado.websocket import WebSocketHandler

from handlers.base import BaseHandler
from server.app.application import Application
from server.app.serving import Refuser
from server.config.memory_budget import DEFAULT
from server.http.connections.head_limits import HEAD_SECONDS, IDLE_SECONDS, end_of_head
from server.http.fast_lane import FastLane
from server.http.forwarded import TrustedProxies
from server.http.server import WebServer
from server.observability.access_log import AccessLog
from tests.support.sockets import quiet_server
from tests.support.waiting import until

END = b"\r\n\r\n"
WARM = b"GET /api/artists/ HTTP/1.1\r\nHost: freshet\r\n\r\n"
BODY = b"GET /healthz HTTP/1.1\r\nHost: freshet\r\nContent-Length: 5\r\n\r\nhello"
CHUNKS = b"GET /healthz HTTP/1.1\r\nHost: freshet\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello"
LARGE = b"GET /api/artists/ HTTP/1.1\r\nHost: freshet\r\nCookie: " + 240_000 * b"c" + END
TOO_MUCH = {
    "a large head": (LARGE, 431, "request-head-too-large"),
    "a large head without an end": (LARGE[:20_000], 431, "request-head-too-large"),
    "many lines": (
        b"GET / HTTP/1.1\r\nHost: freshet\r\n" + 101 * b"a:\r\n" + b"\r\n",
        431,
        "request-head-too-large",
    ),
    "a long name": (
        b"GET / HTTP/1.1\r\nHost: freshet\r\n" + 300 * b"a" + b": b" + END,
        431,
        "request-head-too-large",
    ),
    "a long address": (
        b"GET /?" + 9000 * b"a" + b" HTTP/1.1\r\nHost: a" + END,
        414,
        "uri-too-long",
    ),
    "an address without an end": (b"GET /?" + 100_000 * b"a", 414, "uri-too-long"),
}

Connect = Callable[[int], Awaitable["Client"]]


class Client:
    """A connection that reads answers one by one."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self) -> tuple[int, bytes]:
        """Status and body of the next answer."""
        async with asyncio.timeout(30):
            head = await self.reader.readuntil(END)
            status = int(head.split()[1])
            if status == 100:
                return status, b""
            length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
            return status, await self.reader.readexactly(length)

    async def problem(self) -> tuple[int, str]:
        """Status and kind of the next answer, a problem, and the connection ends with it."""
        status, body = await self.answer()
        problem = orjson.loads(body)
        assert problem["status"] == status
        assert problem["detail"].startswith("The request cannot be read: the ")
        assert await self.ended()
        return status, problem["type"].removeprefix("/problems/")

    async def ended(self) -> bool:
        """Wait until the server closes; whether it does so without another byte."""
        async with asyncio.timeout(30):
            return await self.reader.read() == b""

    async def arrived(self, lane: FastLane, size: int) -> None:
        """Wait until so many bytes of a head are there."""
        ours = self.writer.get_extra_info("sockname")
        await until(
            lambda: any(
                each.address == ours and len(each.head or b"") == size for each in lane.connections
            )
        )


start = quiet_server(5)


@pytest.fixture
def connect() -> Iterator[Connect]:
    clients: list[Client] = []

    async def go(port: int) -> Client:
        clients.append(Client(*await asyncio.open_connection("127.0.0.1", port)))
        return clients[-1]

    yield go
    for each in clients:
        each.writer.transport.abort()


def lane_of(freshet: Application) -> FastLane:
    assert freshet.web_server.lane is not None
    return freshet.web_server.lane


async def used(client: Client, before: bytes) -> Client:
    """A connection on which one request has been answered."""
    if before:
        client.send(before)
        assert (await client.answer())[0] == 200
    return client


@pytest.mark.gen_test
async def test_what_is_too_large_is_refused_on_every_connection_and_the_connection_ends(
    start: Any, connect: Connect
) -> None:
    freshet = await start()
    for name, (sent, status, kind) in TOO_MUCH.items():
        for before in (b"", WARM, BODY):
            client = await used(await connect(freshet.port), before)
            with capture_logs() as logs:
                client.send(sent + WARM)
                assert await client.problem() == (status, kind), name
            (line,) = (each for each in logs if each["event"] == "http_request")
            assert (line["status"], line["method"]) == (status, "GET"), name
            assert line["path"] == sent.split()[1][:300].decode(), name
    assert (await used(await connect(freshet.port), WARM)).reader.at_eof() is False


@pytest.mark.gen_test
async def test_a_head_has_ten_seconds_however_its_bytes_come(start: Any, connect: Connect) -> None:
    freshet = await start()
    lane = lane_of(freshet)
    for before in (b"", WARM, BODY):
        slow = await used(await connect(freshet.port), before)
        blank = await used(await connect(freshet.port), before)
        late = await used(await connect(freshet.port), before)
        slow.send(WARM[:20])
        blank.send(b"\r\n")
        await slow.arrived(lane, 20)
        await blank.arrived(lane, 2)
        for second in range(HEAD_SECONDS - 3):  # the server counts seconds, too
            lane.tick()
            slow.send(b"/")
            await slow.arrived(lane, 21 + second)
        late.send(WARM[:20])
        await late.arrived(lane, 20)
        for _ in range(4):
            lane.tick()
        assert await slow.problem() == (408, "request-timeout")
        assert await blank.ended(), "nothing has begun, so nothing is answered"
        late.send(WARM[20:])
        assert (await late.answer())[0] == 200


@pytest.mark.gen_test
async def test_after_a_body_a_connection_is_as_fast_and_as_long_idle_as_any(
    start: Any, connect: Connect
) -> None:
    freshet = await start()
    lane = lane_of(freshet)
    client = await used(await connect(freshet.port), BODY)
    await until(lambda: lane.idle == 1)
    client.send(WARM)
    assert (await client.answer())[0] == 200
    assert lane.idle == 1
    for _ in range(IDLE_SECONDS - 5):
        lane.tick()
    assert lane.idle == 1
    for _ in range(10):
        lane.tick()
    assert await client.ended()


@pytest.mark.gen_test
async def test_heads_that_do_not_end_are_bounded_in_bytes_and_the_oldest_go_first(
    start: Any, connect: Connect
) -> None:
    freshet = await start()
    lane = lane_of(freshet)
    count = DEFAULT.heads // 16_000 + 20
    clients = [await connect(freshet.port) for _ in range(count)]
    for each in clients:
        each.send(WARM[:30] + 15_970 * b"x")
    for each in clients[:19]:
        assert await each.ended()
    await clients[-1].arrived(lane, 16_000)
    assert sum(len(each.head or b"") for each in lane.connections) <= DEFAULT.heads
    assert (await used(await connect(freshet.port), WARM)).reader.at_eof() is False


@pytest.mark.gen_test
async def test_when_room_is_needed_a_head_is_as_old_as_its_first_byte(
    start: Any, connect: Connect
) -> None:
    freshet = await start()
    lane = lane_of(freshet)
    slow, idle = await connect(freshet.port), await connect(freshet.port)
    slow.send(WARM[:20])
    await slow.arrived(lane, 20)
    lane.tick()
    await used(idle, WARM)
    slow.send(b"/")
    await slow.arrived(lane, 21)
    lane.tick()
    lane.make_room(1)
    assert await slow.ended()
    assert (await used(idle, WARM)).reader.at_eof() is False


@pytest.mark.gen_test
async def test_when_room_is_needed_the_network_with_the_most_connections_loses_some_first(
    start: Any,
) -> None:
    lane = lane_of(await start())
    subscriber = [(f"2001:db8:1:1::{number:x}", 5000, 0, 0) for number in range(4)]
    mapped = [(f"::ffff:192.0.2.{number % 2}", 5000, 0, 0) for number in range(6)]
    neighbours = [(f"2001:db8:1:{number:x}::1", 5000, 0, 0) for number in range(2, 8)]
    with ExitStack() as clients:
        for address in [*neighbours, *mapped, *subscriber]:
            ours, theirs = socket.socketpair()
            clients.enter_context(theirs)
            ours.setblocking(False)
            lane.take(ours, address)
        lane.tick()
        assert lane.make_room(4) == 4
        assert {each.address for each in lane.connections}.isdisjoint(subscriber)
        assert lane.make_room(6) == 6
        assert [each.address for each in lane.connections] == neighbours


@pytest.mark.gen_test
async def test_clients_that_go_in_the_middle_of_a_head_leave_nothing_behind(
    start: Any, connect: Connect
) -> None:
    freshet = await start()
    lane = lane_of(freshet)
    for reset in (False, True):
        client = await connect(freshet.port)
        client.send(WARM[:20])
        await client.arrived(lane, 20)
        if reset:
            gone = client.writer.get_extra_info("socket")
            gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.writer.close()
        await until(lambda: not lane.connections)
    assert lane._intake.heads.size == 0


@pytest.mark.gen_test
async def test_a_body_has_its_seconds_too(start: Any, connect: Connect) -> None:
    freshet = await start()
    elsewhere: Any = (BaseHandler, {})
    log = AccessLog("off")
    site = WebServer(
        freshet.routes(),
        log,
        elsewhere,
        freshet.head_cache,
        refuse=Refuser("", log, TrustedProxies()),
        body_seconds=0.2,
    )
    port = site.listen("127.0.0.1", 0)
    site.open()
    expects = BODY.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
    for sent, answers in (
        (BODY[:-1], []),
        (CHUNKS, []),
        (expects[:-5], [100]),
        (expects[:-1], [100]),
    ):
        for before in (b"", BODY):
            client = await used(await connect(port), before)
            client.send(sent)
            for status in answers:
                assert (await client.answer())[0] == status
            assert await client.problem() == (408, "request-timeout")
    await site.close()


@pytest.mark.gen_test
async def test_nothing_behind_the_last_request_is_executed(start: Any, connect: Connect) -> None:
    freshet = await start()
    last = b"GET /healthz HTTP/1.1\r\nHost: freshet\r\nConnection: close\r\n"
    behind = b"GET /api/changes/ HTTP/1.1\r\nHost: freshet\r\n\r\n"
    for before in (b"", WARM, BODY):
        for end in (b"\r\n", b"Content-Length: 5\r\n\r\nhello"):
            with capture_logs() as logs:
                client = await used(await connect(freshet.port), before)
                client.send(last + end + behind + behind)
                assert (await client.answer())[0] == 200
                assert await client.ended()
            told = [each["path"] for each in logs if each["event"] == "http_request"]
            assert "/api/changes/" not in told, (before, end)


class Echo(WebSocketHandler):
    """Says what it hears."""

    def initialize(self, seen: list[HTTPServerRequest]) -> None:
        self._seen = seen

    def open(self, *_: str, **__: str) -> None:
        self._seen.append(self.request)

    async def on_message(self, message: str | bytes) -> None:
        await asyncio.sleep(0.05)
        await self.write_message(message)


def frame(text: bytes) -> bytes:
    """A masked text frame of a client (RFC 6455 section 5.2), its key zero."""
    return bytes([0x81, 0x80 | len(text)]) + bytes(4) + text


@pytest.mark.gen_test
async def test_a_connection_that_becomes_a_websocket_stays_with_tornado(
    start: Any, connect: Connect
) -> None:
    freshet = await start()
    seen: list[HTTPServerRequest] = []
    routes: list[Any] = [*freshet.routes(), ("/echo", Echo, {"seen": seen})]
    elsewhere: tuple[type[RequestHandler], Any] = (BaseHandler, {})
    log = AccessLog("off")
    site = WebServer(
        routes, log, elsewhere, freshet.head_cache, refuse=Refuser("", log, TrustedProxies())
    )
    port = site.listen("127.0.0.1", 0)
    site.open()
    upgrade = (
        b"GET /echo HTTP/1.1\r\nHost: freshet\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    for before in (b"", WARM, BODY):
        client = await used(await connect(port), before)
        client.send(upgrade + frame(b"early"))
        head = await client.reader.readuntil(END)
        assert head.startswith(b"HTTP/1.1 101 ")
        assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
        for text in (b"one", b"GET / HTTP/1.1\r\n\r\n", b"two"):
            client.send(frame(text))
        async with asyncio.timeout(30):
            for text in (b"early", b"one", b"GET / HTTP/1.1\r\n\r\n", b"two"):
                assert await client.reader.readexactly(len(text) + 2) == b"\x81%c%s" % (
                    len(text),
                    text,
                )
        client.send(b"\x88\x80" + bytes(4))
        async with asyncio.timeout(30):
            assert await client.reader.read() == b"\x88\x00"
    assert len(seen) == 3
    await site.close()


@given(
    data=st.lists(st.sampled_from([b"\r", b"\n", b"x"]), max_size=12).map(b"".join),
    cuts=st.lists(st.integers(0, 12), max_size=4),
)
def test_the_end_of_a_head_is_found_in_pieces_as_in_one(data: bytes, cuts: list[int]) -> None:
    expected = end_of_head(data)
    known = 0
    for cut in [*sorted(cuts), len(data)]:
        found = end_of_head(data[:cut], known)
        if found is not None:
            assert found == expected
            return
        known = cut
    assert expected is None


COSTLY = {
    "cookies": ("/", "Cookie: " + "; ".join(f'c{n:03d}="\\101"' for n in range(1000))),
    "proxies": ("/healthz", "X-Forwarded-For: " + ",".join(4000 * ["::1"])),
    "kinds of content": ("/none", "Accept: " + ",".join(8000 * ["a"])),
    "codings": ("/api/artists/", "Accept-Encoding: " + ",".join(8000 * ["a"])),
    "tags": ("/api/artists/", "If-None-Match: " + ",".join(4000 * ['"a"'])),
    "tags of a file": ("/static/freshet.css", "If-None-Match: " + ",".join(4000 * ['"a"'])),
    "options": ("/healthz", "Connection: " + ",".join(8000 * ["a"])),
    "ranges": ("/static/freshet.css", "Range: bytes=" + ",".join(4000 * ["0-1"])),
    "languages": ("/", "Accept-Language: " + ",".join(8000 * ["a"])),
    "an address": ("/" + 2700 * "%41", "X: x"),
    "parameters": ("/healthz?" + 990 * "abc=def&", "X: x"),
    "a host": ("/healthz", "X: " + 15_000 * "x"),
}


@pytest.mark.gen_test
async def test_the_most_expensive_heads_take_little_of_the_loop(
    start: Any, connect: Connect
) -> None:
    freshet = await start(trusted_proxies="127.0.0.1,::1", access_log="off")
    for name, (target, field) in COSTLY.items():
        sent = f"GET {target} HTTP/1.1\r\nHost: freshet\r\n{field}\r\n\r\n".encode()
        assert len(sent) <= 16_384, name
        client = await connect(freshet.port)
        seconds = []
        for _ in range(7):
            began = time.thread_time()
            client.send(sent)
            status, _body = await client.answer()
            seconds.append(time.thread_time() - began)
            assert status != 431, name
        assert min(seconds) < 0.005, (name, seconds)
