"""Whom a request is from: what trusted proxies say of it, and nobody else."""

import asyncio
import io
from collections.abc import Callable
from ipaddress import ip_network
from typing import Any

import orjson
import pytest
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

from server.app.application import Application
from server.http.forwarded import TrustedProxies
from server.observability.log import configure
from tests.support.examples import albums
from tests.support.servers import StartFreshet
from tests.support.standins import StartStandIn
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("logging_as_it_was")


PROXY, STRANGER = "127.0.0.1", "127.0.0.9"
TRUSTED = f"{PROXY}, 10.0.0.0/8, 2001:db8::/32"
CLIENT = "203.0.113.7"
LIST = "/api/artists/"


class Door:
    """A server that logs each request, asked from addresses of one's choice."""

    def __init__(self, freshet: Application, stream: io.StringIO) -> None:
        self.freshet = freshet
        self._stream = stream

    async def ask(self, path: str, *headers: str, peer: str = PROXY) -> str:
        """The head of the answer to one request with these header lines."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.freshet.port, local_addr=(peer, 0)
        )
        lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", *headers]
        writer.write("\r\n".join([*lines, "Connection: close", "", ""]).encode())
        answer = (await asyncio.wait_for(reader.read(), 30)).decode("latin-1")
        writer.close()
        return answer.partition("\r\n\r\n")[0]

    async def client(self, path: str, *headers: str, peer: str = PROXY) -> str:
        """From whom one such request is, for the log."""
        known = len(self._lines())
        await self.ask(path, *headers, peer=peer)
        await until(lambda: len(self._lines()) > known)
        line = self._lines()[-1]
        assert line["path"] == path
        return str(line["client"])

    def _lines(self) -> list[dict[str, Any]]:
        lines = map(orjson.loads, self._stream.getvalue().splitlines())
        return [line for line in lines if line["event"] == "http_request"]


@pytest.fixture
def open_door(start_standin: StartStandIn, start_freshet: StartFreshet) -> Callable[..., Any]:
    async def start(trusted: str | None = TRUSTED, **overrides: Any) -> Door:
        stream = io.StringIO()
        standin = start_standin(albums(5))
        freshet = await start_freshet(
            standin, access_log="all", trusted_proxies=trusted, **overrides
        )
        configure("json", "info", stream)
        return Door(freshet, stream)

    return start


CHAINS = {
    "no header": ([], PROXY),
    "one address": ([f"X-Forwarded-For: {CLIENT}"], CLIENT),
    "what the client has written itself": ([f"X-Forwarded-For: 1.2.3.4, {CLIENT}"], CLIENT),
    "two proxies": ([f"X-Forwarded-For: 1.2.3.4, {CLIENT}, 10.1.2.3, 2001:db8::1"], CLIENT),
    "a proxy's address that the client has written": (
        [f"X-Forwarded-For: 10.1.1.1, {CLIENT}, 10.1.2.3"],
        CLIENT,
    ),
    "a header twice": (["X-Forwarded-For: 1.2.3.4", f"X-Forwarded-For: {CLIENT}"], CLIENT),
    "proxies alone": (["X-Forwarded-For: 10.9.9.9, 10.1.2.3"], "10.9.9.9"),
    "garbage behind a proxy": (["X-Forwarded-For: <script>, 10.1.2.3"], "10.1.2.3"),
    "garbage": (["X-Forwarded-For: unknown"], PROXY),
    "nothing": (["X-Forwarded-For: ,, ,"], PROXY),
    "a port": ([f"X-Forwarded-For: {CLIENT}:4711"], CLIENT),
    "IPv6": (["X-Forwarded-For: 2001:DB9::0:7"], "2001:db9::7"),
    "IPv6 with a port": (["X-Forwarded-For: [2001:db9::7]:4711"], "2001:db9::7"),
    "IPv4 as IPv6": ([f"X-Forwarded-For: {CLIENT}, ::ffff:10.1.2.3"], CLIENT),
    "a zone": ([f"X-Forwarded-For: fe80::7%{'x' * 3000}"], "fe80::7"),
    "a zone that differs each time": (["X-Forwarded-For: 1.2.3.4, fe80::7%eth0"], "fe80::7"),
    "a zone and a port": (["X-Forwarded-For: [fe80::7%25eth0]:4711"], "fe80::7"),
    "a zone of a proxy": ([f"X-Forwarded-For: {CLIENT}, 2001:db8::1%eth0"], CLIENT),
    "a zone of IPv4": ([f"X-Forwarded-For: {CLIENT}%eth0"], PROXY),
    "IPv4 as IPv6 with a zone": ([f"X-Forwarded-For: ::ffff:{CLIENT}%{'y' * 300}"], CLIENT),
    "a zone in the other header": ([f"X-Real-Ip: fe80::7%{'x' * 3000}"], "fe80::7"),
    "the other header": ([f"X-Real-Ip: {CLIENT}"], CLIENT),
    "both": (["X-Real-Ip: 1.2.3.4", f"X-Forwarded-For: {CLIENT}"], CLIENT),
}


@pytest.mark.gen_test
async def test_the_client_is_the_rightmost_address_that_is_no_proxys(open_door: Any) -> None:
    """Of handlers and of the fast lane alike: the list is warm."""
    door = await open_door()
    await door.ask(LIST)
    for path in (LIST, "/healthz"):
        for name, (headers, client) in CHAINS.items():
            assert await door.client(path, *headers) == client, (path, name)


@pytest.mark.parametrize("networks", [(), (ip_network("10.0.0.0/8"),), (ip_network("fe80::/10"),)])
def test_a_peer_is_told_without_its_zone(networks: Any) -> None:
    proxies, peer = TrustedProxies(networks), "fe80::7%eth0"
    assert proxies.client(peer, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n") == "fe80::7"
    assert proxies.origin(peer, HTTPHeaders()) == "fe80::7"
    start_line = RequestStartLine("GET", "/", "HTTP/1.1")
    request = HTTPServerRequest(start_line=start_line, headers=HTTPHeaders({"Host": "x"}))
    request.remote_ip = peer
    proxies.correct(request)
    assert request.remote_ip == "fe80::7"


@pytest.mark.parametrize("trusted", [TRUSTED, "203.0.113.0/24", None])
@pytest.mark.gen_test
async def test_who_is_not_trusted_is_told_as_the_client_whatever_it_says(
    open_door: Any, trusted: str | None
) -> None:
    door = await open_door(trusted)
    await door.ask(LIST)
    for path in (LIST, "/healthz"):
        for headers, _ in CHAINS.values():
            assert await door.client(path, *headers, peer=STRANGER) == STRANGER


@pytest.mark.gen_test
async def test_a_head_is_of_one_request_and_not_of_the_next_on_its_connection(
    open_door: Any,
) -> None:
    door = await open_door()
    reader, writer = await asyncio.open_connection("127.0.0.1", door.freshet.port)
    for extra in (f"X-Forwarded-For: {CLIENT}\r\n", ""):
        writer.write(f"GET /healthz HTTP/1.1\r\nHost: a\r\n{extra}\r\n".encode())
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
        await asyncio.sleep(0.05)
    writer.close()
    assert [line["client"] for line in door._lines()] == [CLIENT, PROXY]


@pytest.mark.gen_test
async def test_a_login_by_http_is_sent_to_https_first_where_a_trusted_proxy_says_so(
    open_door: Any,
) -> None:
    door = await open_door(public_url="https://127.0.0.1")
    for headers, peer, begins in (
        ([], PROXY, True),
        (["X-Forwarded-Proto: https"], PROXY, True),
        (["X-Forwarded-Proto: http"], PROXY, False),
        (["X-Forwarded-Proto: http"], STRANGER, True),
        (["X-Forwarded-Proto: https, http"], PROXY, False),
        (["X-Forwarded-Proto: https, http", f"X-Forwarded-For: {CLIENT}"], PROXY, False),
        (["X-Forwarded-Proto: https, http", f"X-Forwarded-For: {CLIENT}, 10.1.1.1"], PROXY, True),
        (["X-Forwarded-Proto: gopher"], PROXY, True),
    ):
        head = await door.ask("/auth/login/", *headers, peer=peer)
        assert ("Set-Cookie: __Host-freshet_login_" in head) is begins, headers
        assert ("Location: https://127.0.0.1/auth/login/?" in head) is not begins, headers


@pytest.mark.gen_test
async def test_the_host_that_people_asked_for_is_a_trusted_proxys_to_tell(open_door: Any) -> None:
    public = "https://freshet.example.org"
    door = await open_door(public_url=public)
    said = "X-Forwarded-Host: Freshet.example.org"
    assert "Set-Cookie" in await door.ask("/auth/login/", said)
    for headers, peer in (([said], STRANGER), (["X-Forwarded-Host: a b"], PROXY), ([], PROXY)):
        head = await door.ask("/auth/login/", *headers, peer=peer)
        assert f"Location: {public}/auth/login/?" in head


@pytest.mark.gen_test
async def test_all_clients_of_a_proxy_share_what_the_lane_knows(open_door: Any) -> None:
    door = await open_door()
    head_cache = door.freshet.head_cache
    await door.ask(LIST)
    plain = f"GET {LIST} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()
    answer, known = head_cache.learn(plain), len(head_cache.answers)
    assert answer is not None
    for number in range(50):
        head = await door.ask(
            LIST, f"x-forwarded-for: 192.0.2.{number}", f"X-Request-Id: {number}", "Via: 1.1 proxy"
        )
        assert head.startswith("HTTP/1.1 200 OK")
    assert len(head_cache.answers) == known
    assert (
        head_cache.learn(plain.replace(b"Conn", b"X-Forwarded-For: 192.0.2.99\r\nConn")) is answer
    )


HIDDEN = (
    "X-Forwarded-For: a\r\n b\r\n",
    "X-Forwarded-For : a\r\n",
    "X-Forwarded-For: a\r\nContent-Length: 0\r\n",
    "X-Forwarded-For: a\nTransfer-Encoding: chunked\r\n",
)


@pytest.mark.gen_test
async def test_what_hides_behind_a_proxys_header_does_not_get_past_the_lane(
    open_door: Any,
) -> None:
    """It is Tornado's to answer, as any head that is not plain."""
    door = await open_door()
    await door.ask(LIST)
    first = f"GET {LIST} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    for lines in HIDDEN:
        head = f"{first}{lines}Connection: close\r\n\r\n".encode()
        assert door.freshet.head_cache.learn(head) is None, lines
        plain = head.replace(lines.encode(), b"X-Forwarded-For: a\r\n")
        assert door.freshet.head_cache.learn(plain) is not None
