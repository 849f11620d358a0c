"""Nothing that a client chooses is kept for good: no cache has a long string as its key."""

import asyncio
import gc
import tracemalloc
from collections.abc import Callable

import pytest

from server.app.application import Application
from server.http.connections.head_limits import MAX_HEAD_BYTES, MAX_LINE_BYTES, MAX_NAME_BYTES
from server.serving import json_body, negotiation
from tests.support.examples import albums
from tests.support.raw_http import quiet
from tests.support.servers import StartFreshet
from tests.support.standins import StartStandIn

FIRST = 18  # until the 1 000 names of headers that Tornado keeps are ours
REQUESTS = 24  # of a kind, each of 8 or 16 kB
MOST_BYTES = 180_000  # that a kind may leave behind; kept as keys most would be 400 kB
OWNED_BYTES = 4_000_000  # that the largest owner may keep of short heads and queries
FULL = "x" * (MAX_HEAD_BYTES - 300)


def head(target: str, *fields: str, method: str = "GET") -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: freshet", *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def query(number: int) -> str:
    return f"{number}=" + "x" * (4096 - 20)


def part(number: int) -> bytes:
    """A form with parts that name 60 charsets that do not exist, of 900 bytes each."""
    named = "".join(
        f"--b\r\nContent-Disposition: form-data; name*=x{number}-{each}-{900 * 'x'}''a\r\n\r\n\r\n"
        for each in range(60)
    )
    return f"{named}--b--".encode()


def form(number: int) -> bytes:
    body = part(number)
    fields = ("Content-Type: multipart/form-data; boundary=b", f"Content-Length: {len(body)}")
    return head("/api/sync/", *fields, method="POST") + body


KINDS: dict[str, Callable[[int], bytes]] = {
    "Accept-Encoding": lambda n: head("/api/artists/", f"Accept-Encoding: {n}{FULL}"),
    "Accept": lambda n: head("/problems/not-found", f"Accept: {n}{FULL}", method="HEAD"),
    "Accept where nothing is": lambda n: head("/none", f"Accept: {n}{FULL}"),
    "names of headers": lambda n: head(
        "/healthz",
        *[f"{n:06d}{each:02d}{'x' * (MAX_NAME_BYTES - 8)}: x" for each in range(61)],
    ),
    "names of headers on the way to the lane": lambda n: head(
        "/api/artists/",
        *[f"{n:06d}{each:02d}{'x' * (MAX_NAME_BYTES - 8)}: x" for each in range(15)],
    ),
    "Cookie": lambda n: head("/", f"Cookie: session={n}{FULL}", method="HEAD"),
    "If-None-Match": lambda n: head("/api/artists/", f'If-None-Match: "{n}{FULL}"'),
    "Range": lambda n: head("/static/freshet.css", f"Range: bytes={n}{FULL}", method="HEAD"),
    "X-Forwarded-For": lambda n: head("/healthz", f"X-Forwarded-For: ::{n}%{FULL}"),
    "X-Forwarded-Host": lambda n: head("/healthz", f"X-Forwarded-Host: {n}{FULL}"),
    "Origin": lambda n: head(
        "/api/sync/", f"Origin: http://{n}{FULL}", "Content-Length: 0", method="POST"
    ),
    "Last-Event-ID": lambda n: head("/api/events", f"Last-Event-ID: {n}{FULL}", method="POST"),
    "a query": lambda n: head(f"/api/albums/?{query(n)}", method="HEAD"),
    "a time zone": lambda n: head(f"/api/albums/?tz=Europe/{n}{'x' * 4000}"),
    "an address": lambda n: head(f"/{n}" + "x" * (MAX_LINE_BYTES - 100)),
    "an address in absolute form": lambda n: head(f"http://{n}/" + "x" * 1000),
    "a file": lambda n: head(f"/static/{n}" + "x" * (MAX_LINE_BYTES - 100)),
    "a method": lambda n: head("/healthz", method=f"A{n}" + "X" * 8000),
    "a charset of a form": form,
}


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sent: bytes) -> bool:
    """Send a request and read its answer; whether the connection stays."""
    writer.write(sent)
    got = await reader.readuntil(b"\r\n\r\n")
    assert b" 431 " not in got[:20], "the head is let through"
    if not sent.startswith(b"HEAD "):
        length = (
            int(got.split(b"Content-Length: ")[1].split(b"\r\n")[0]) if b" 304 " not in got else 0
        )
        await reader.readexactly(length)
    return b"Connection: close" not in got


async def left_behind(port: int, kind: Callable[[int], bytes], requests: int) -> int:
    """How many bytes more Python holds after so many requests of a kind than after a few."""

    async def send(first: int, count: int) -> None:
        stays = False
        for number in range(first, first + count):
            if not stays:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            stays = await ask(reader, writer, kind(number))
            if not stays:
                writer.close()
        writer.close()
        await writer.wait_closed()

    await send(0, FIRST)
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    await send(FIRST, requests)
    await asyncio.sleep(0)
    gc.collect()
    return tracemalloc.get_traced_memory()[0] - before


@pytest.mark.slow
@pytest.mark.parametrize(
    "proxies", [{}, {"trusted_proxies": "127.0.0.1"}], ids=["direct", "behind a proxy"]
)
@pytest.mark.gen_test(timeout=600)
async def test_requests_with_long_strings_of_their_own_leave_nothing_behind(
    start_standin: StartStandIn, start_freshet: StartFreshet, long: bool, proxies: dict[str, str]
) -> None:
    freshet: Application = await start_freshet(
        start_standin(albums(5)), access_log="all", **proxies
    )
    await quiet(freshet)
    tracemalloc.start(1)
    try:
        for name, kind in KINDS.items():
            if proxies and not name.startswith("X-Forwarded"):
                continue
            left = await left_behind(freshet.port, kind, 3000 if long else REQUESTS)
            assert left < (OWNED_BYTES if long else MOST_BYTES), (name, left)
    finally:
        tracemalloc.stop()


def test_what_long_headers_mean_is_found_without_being_remembered() -> None:
    rest = ", a;q=0.1" * 2000
    before = negotiation._known_coding.cache_info(), negotiation._known_preference.cache_info()
    assert negotiation.coding(f"gzip{rest}") == "gzip"
    assert negotiation.prefers_page(f"text/html{rest}")
    assert (
        negotiation._known_coding.cache_info(),
        negotiation._known_preference.cache_info(),
    ) == before
    known = json_body._known_list.cache_info()
    assert json_body._markets(" ".join(["DE"] * 1000)) == b"[" + b",".join([b'"DE"'] * 1000) + b"]"
    assert json_body._known_list.cache_info() == known
