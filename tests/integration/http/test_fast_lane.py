"""The fast lane is invisible: the same bytes as the handlers, whatever comes over the wire."""

import asyncio
import re
import shutil
import socket

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.examples import spotify_id
from tests.support.lane_and_tornado import LAST, WARM, Pair
from tests.support.raw_http import VARYING

HOST = b"Host: freshet\r\n"


def get(target: str, *fields: str, method: str = "GET", version: str = "HTTP/1.1") -> bytes:
    lines = [f"{method} {target} {version}", "Host: freshet", *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1")


@pytest.mark.parametrize("coding", ["", "Accept-Encoding: gzip", "Accept-Encoding: br, gzip"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", WARM)
def test_what_is_warm_is_answered_by_the_lane_as_by_the_handlers(
    pair: Pair, path: str, method: str, coding: str
) -> None:
    fields = [coding] if coding else []
    before = pair.hits
    answer = pair.ask(get(path, *fields, "Connection: close", method=method), quiet=2)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"<closed>")
    assert pair.hits == before + 1


@pytest.mark.parametrize("path", WARM)
def test_what_the_client_has_already_is_not_sent_again(pair: Pair, path: str) -> None:
    first = pair.ask(get(path, "Connection: close"), quiet=2)
    etag = first.split(b"\r\nEtag: ")[1].split(b"\r\n")[0].decode()
    before = pair.hits
    for tags in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        answer = pair.ask(get(path, f"If-None-Match: {tags}", "Connection: close"), quiet=2)
        assert answer.startswith(b"HTTP/1.1 304 Not Modified\r\n")
    assert pair.hits == before + 4


@pytest.mark.parametrize("path", WARM)
def test_what_is_no_newer_than_the_copy_of_the_client_is_not_sent_again(
    pair: Pair, path: str
) -> None:
    first = pair.ask(get(path, "Connection: close"), quiet=2)
    date = first.split(b"\r\nLast-Modified: ")[1].split(b"\r\n")[0].decode()
    before = pair.hits
    for status, *fields in (
        (b"304 Not Modified", f"If-Modified-Since: {date}"),
        (b"200 OK", "If-Modified-Since: Fri, 31 Dec 2100 00:00:00 GMT"),
        (b"200 OK", "If-Modified-Since: Thu, 01 Jan 2026 00:00:00 GMT"),
        (b"200 OK", "If-Modified-Since: yesterday"),
        (b"200 OK", f"If-Modified-Since: {date}", 'If-None-Match: "x"'),
    ):
        answer = pair.ask(get(path, *fields, "Connection: close"), quiet=2)
        assert answer.startswith(b"HTTP/1.1 " + status)
    assert pair.hits == before + 5


def test_an_answer_is_the_same_in_whatever_pieces_the_request_comes(pair: Pair) -> None:
    request = get("/api/artists/", "Accept-Encoding: gzip") + LAST
    whole = pair.ask(request, quiet=2)
    for cut in range(1, len(request)):
        assert pair.ask(request[:cut], request[cut:], quiet=2) == whole
    assert pair.ask(*[bytes([each]) for each in request], quiet=2) == whole


def test_warm_and_cold_requests_are_mixed_on_one_connection_and_pipelined(pair: Pair) -> None:
    before = pair.hits
    requests = [
        get("/api/artists/"),
        get("/api/artists/?limit=3&offset=1"),
        get("/api/artists/"),
        get("/api/nothing"),
        get("/api/artists/", method="HEAD"),
        get("/api/artists/?limit=0"),
        get("/api/artists/?limit=2"),
        get("/healthz"),
        get("/feeds/albums.atom"),
        LAST,
    ]
    assert pair.ask(b"".join(requests), quiet=2).count(b"HTTP/1.1 ") == len(requests)
    assert pair.hits > before


def test_a_connection_comes_back_to_the_lane_after_something_else(pair: Pair) -> None:
    async def alternate() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", pair.freshet.port)
        for request in 5 * [get("/healthz"), get("/api/artists/")]:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
        writer.close()

    before = pair.hits
    pair.loop.run_until_complete(alternate())
    assert pair.hits == before + 5


IN_BYTES = (
    "bare line feeds",
    "one bare line feed",
    "a blank line first",
    "a folded field",
    "no version",
    "http 1.0 kept alive",
    "expect",
    "upgrade",
    "a body",
    "a body in chunks",
    "CL.TE",
    "TE.CL",
)


@pytest.mark.parametrize("name", IN_BYTES)
def test_whatever_ends_a_line_a_request_in_single_bytes_is_answered_as_without_the_lane(
    pair: Pair, name: str
) -> None:
    request = WARM_ONE + ODD[name] + LAST
    whole = pair.ask(request)
    assert pair.ask(*[bytes([each]) for each in request]) == whole


ODD = {
    "bare line feeds": b"GET /api/artists/ HTTP/1.1\nHost: freshet\n\n",
    "one bare line feed": b"GET /api/artists/ HTTP/1.1\r\nHost: freshet\n\r\n",
    "a blank line first": b"\r\nGET /api/artists/ HTTP/1.1\r\nHost: freshet\r\n\r\n",
    "a folded field": b"GET /api/artists/ HTTP/1.1\r\nHost: freshet\r\nX: a\r\n b\r\n\r\n",
    "a blank before the colon": b"GET /api/artists/ HTTP/1.1\r\nHost : freshet\r\n\r\n",
    "no host": b"GET /api/artists/ HTTP/1.1\r\n\r\n",
    "no host but fields": b"GET /api/artists/ HTTP/1.1\r\nAccept: */*\r\n\r\n",
    "two hosts": b"GET /api/artists/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "a host with a comma": b"GET /api/artists/ HTTP/1.1\r\nHost: a,b\r\n\r\n",
    "an odd host": b"GET /api/artists/ HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "an empty host": b"GET /api/artists/ HTTP/1.1\r\nHost:\r\n\r\n",
    "a null byte": b"GET /api/artists/ HTTP/1.1\r\nHost: freshet\r\nX: \0\r\n\r\n",
    "latin letters": b"GET /api/artists/ HTTP/1.1\r\nHost: freshet\r\nX: \xe9\r\n\r\n",
    "no version": b"GET /api/artists/\r\nHost: freshet\r\n\r\n",
    "version 2": b"GET /api/artists/ HTTP/2.0\r\nHost: freshet\r\n\r\n",
    "two blanks": b"GET  /api/artists/ HTTP/1.1\r\nHost: freshet\r\n\r\n",
    "a small method": b"get /api/artists/ HTTP/1.1\r\nHost: freshet\r\n\r\n",
    "absolute form": b"GET http://freshet/api/artists/ HTTP/1.1\r\nHost: freshet\r\n\r\n",
    "asterisk form": b"OPTIONS * HTTP/1.1\r\nHost: freshet\r\n\r\n",
    "authority form": b"CONNECT freshet:80 HTTP/1.1\r\nHost: freshet\r\n\r\n",
    "another method": get("/api/artists/", method="DELETE"),
    "a fragment": get("/api/artists/#x"),
    "an escaped path": get("/api/%61rtists/"),
    "two slashes": get("/api/artists//"),
    "http 1.0": get("/api/artists/", version="HTTP/1.0"),
    "http 1.0 kept alive": get("/api/artists/", "Connection: keep-alive", version="HTTP/1.0"),
    "expect": get("/api/artists/", "Expect: 100-continue"),
    "upgrade": get("/api/artists/", "Upgrade: websocket", "Connection: Upgrade"),
    "upgrade to http 2": get(
        "/api/artists/",
        "Connection: Upgrade, HTTP2-Settings",
        "Upgrade: h2c",
        "HTTP2-Settings: AAA",
    ),
    "keep-alive said": get("/api/artists/", "Connection: keep-alive"),
    "odd connection": get("/api/artists/", "Connection: foo"),
    "two codings fields": get("/api/artists/", "Accept-Encoding: gzip", "Accept-Encoding: br"),
    "a body": get("/api/artists/", "Content-Length: 5") + b"hello",
    "an empty body": get("/api/artists/", "Content-Length: 0"),
    "a body in chunks": get("/api/artists/", "Transfer-Encoding: chunked")
    + b"2\r\nhi\r\n0\r\n\r\n",
    "a body that is a request": get("/api/artists/", "Content-Length: 40") + get("/healthz")[:40],
    "CL.TE": get("/api/artists/", "Content-Length: 4", "Transfer-Encoding: chunked")
    + b"0\r\n\r\n"
    + get("/admin"),
    "TE.CL": get("/api/artists/", "Transfer-Encoding: chunked", "Content-Length: 4")
    + b"5c\r\n"
    + get("/admin"),
    "TE odd": get("/api/artists/", "Transfer-Encoding: xchunked") + b"0\r\n\r\n",
    "TE with a blank": get("/api/artists/", "Transfer-Encoding : chunked") + b"0\r\n\r\n",
    "two lengths": get("/api/artists/", "Content-Length: 0", "Content-Length: 9"),
    "a signed length": get("/api/artists/", "Content-Length: +0"),
    "the largest head": get("/api/artists/", "X: " + (16_384 - 51) * "x"),
    "one byte more": get("/api/artists/", "X: " + (16_384 - 50) * "x"),
    "the longest request line": get("/healthz?" + (8192 - 22) * "x"),
    "one byte more in it": get("/healthz?" + (8192 - 21) * "x"),
    "as many fields as may be": get("/api/artists/", *(99 * ["X: x"])),
    "one field more": get("/api/artists/", *(100 * ["X: x"])),
    "the longest name of a field": get("/api/artists/", 256 * "x" + ": x"),
    "a name that is longer": get("/api/artists/", 257 * "x" + ": x"),
    "too many fields of proxies": get("/api/artists/", *(110 * ["X-Forwarded-For: 1.2.3.4"])),
    "too large a field of a proxy": get("/api/artists/", f"X-Forwarded-For: {17_000 * '1'}"),
    "a long name like a proxy's": get("/api/artists/", "X-Forwarded-" + 300 * "a" + ": x"),
    "a long name in a large head": get("/healthz", "Y: " + 9000 * "y", 257 * "x" + ": x"),
    "HEAD with too large a head": get("/healthz", "X: " + 17_000 * "x", method="HEAD"),
    "a large head without an end": get("/healthz", "X: " + 17_000 * "x")[:-4],
    "64 kB of a field": get("/api/artists/", "X: " + 64000 * "x"),
    "64 kB of fields": get("/api/artists/", *[f"X-{n}: {60 * 'x'}" for n in range(900)]),
    "a query of 70 kB": get("/api/artists/?" + 70000 * "x"),
    "2 000 parameters": get("/api/artists/?" + 2000 * "a&"),
    "a query to one artist": get(f"/api/artists/{spotify_id('artist', 1)}?" + 1100 * "a&"),
    "a list of options with close": get("/api/artists/", "Connection: TE, close", "TE: trailers"),
    "close in a second field": get("/healthz", "Connection: TE", "Connection: Close"),
    "a list of options without close": get("/api/artists/", "Connection: TE, closed"),
    "1 000 empty parameters": get("/api/artists/?" + 1000 * "&"),
    "no address": get("http://["),
    "a chunk without a size": get("/healthz", "Transfer-Encoding: chunked") + b"x\r\n\r\n",
    "http 2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "an event stream, and on": get("/api/events", method="HEAD"),
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_odd_is_answered_as_without_the_lane(pair: Pair, name: str) -> None:
    pair.ask(ODD[name])
    pair.ask(get("/api/artists/") + ODD[name] + LAST)
    middle = len(ODD[name]) // 2
    pair.ask(ODD[name][:middle], ODD[name][middle:] + get("/api/artists/"), LAST)


@pytest.mark.parametrize("path", ["/api/artists/", "/api/artists/?limit=4", "/problems/not-found"])
def test_several_lines_of_accepted_codings_are_answered_with_identity(
    pair: Pair, path: str
) -> None:
    alone = pair.ask(get(path, "Accept-Encoding: gzip", "Connection: close"), quiet=2)
    assert b"\r\nContent-Encoding: gzip\r\n" in alone or path.startswith("/problems/")
    for lines in (("gzip", "br"), ("gzip", "gzip"), ("gzip", ""), ("", "br")):
        fields = [f"Accept-Encoding: {each}" for each in lines]
        answer = pair.ask(get(path, *fields, "Connection: close"), quiet=2)
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"Content-Encoding" not in answer


WARM_ONE = get("/api/artists/")
ENDING = {
    "one that waits for the database, and warm ones": get("/api/changes/") + 3 * WARM_ONE,
    "all kinds": WARM_ONE + get("/api/changes/") + WARM_ONE + get("/healthz") + WARM_ONE,
    "a long one": get("/healthz", "X: " + 16_000 * "x") + WARM_ONE,
    "a body": get("/healthz", "Content-Length: 5") + b"hello" + WARM_ONE,
    "a body at the end": WARM_ONE + get("/api/changes/", "Content-Length: 5") + b"hello",
    "a body in chunks at the end": get("/api/changes/", "Transfer-Encoding: chunked")
    + b"2\r\nhi\r\n0\r\n"
    + b"\r\n",
    "one that waits for the database": get("/api/changes/"),
    "answers without a body": 2 * get("/api/artists/", method="OPTIONS") + WARM_ONE,
    "more than is read at once": 400 * WARM_ONE,
}


async def all_of(port: int, sent: bytes, *, ends: bool) -> bytes:
    """What the server says to this before it closes; with `ends` the client closes its half."""
    loop, received = asyncio.get_running_loop(), bytearray()
    with socket.socket() as client:
        client.setblocking(False)
        await loop.sock_connect(client, ("127.0.0.1", port))
        await loop.sock_sendall(client, sent)
        if ends:
            client.shutdown(socket.SHUT_WR)
        async with asyncio.timeout(30):
            while chunk := await loop.sock_recv(client, 65536):
                received += chunk
    return bytes(received)


@pytest.mark.parametrize("name", ENDING)
def test_who_has_asked_for_all_and_closes_its_half_is_answered(pair: Pair, name: str) -> None:
    sent = ENDING[name]
    answers = pair.loop.run_until_complete(all_of(pair.freshet.port, sent, ends=True))
    assert len(re.findall(rb"HTTP/1.1 20[04] ", answers)) == sent.count(b" HTTP/1.1\r\n")
    assert answers.endswith(b"}")


def test_what_comes_behind_the_last_request_does_not_cost_its_answer(pair: Pair) -> None:
    sent = get("/api/artists/", "Connection: close") + 40_000 * b"x"
    answer = pair.loop.run_until_complete(all_of(pair.freshet.port, sent, ends=False))
    assert answer.endswith(b"}"), "not cut off by a reset"


CURL = {
    "two on one connection": ["-i", "{root}/api/artists/", "{root}/api/artists/"],
    "codings": ["--compressed", "-i", "{root}/api/artists/"],
    "HEAD": ["-I", "{root}/feeds/albums.atom"],
    "what it has": ["-i", "-H", "If-None-Match: *", "{root}/api/artists/"],
    "a cold one between": ["-i", "{root}/api/artists/", "{root}/healthz", "{root}/api/artists/"],
    "a body": ["-i", "-d", "x=y", "{root}/api/artists/", "{root}/api/artists/"],
    "http 1.0": ["-0", "-i", "{root}/api/artists/"],
    "a wish for http 2": ["--http2", "-i", "{root}/api/artists/"],
}


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
@pytest.mark.parametrize("name", CURL)
def test_curl_sees_no_difference(pair: Pair, name: str) -> None:
    async def curl(port: int) -> bytes:
        options = [each.format(root=f"http://freshet:{port}") for each in CURL[name]]
        process = await asyncio.create_subprocess_exec(
            "curl", "-s", "--noproxy", "*", "--resolve", f"freshet:{port}:127.0.0.1", *options,
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, _ = await process.communicate()
        assert process.returncode == 0
        return VARYING.sub(b"", out)

    ours = pair.loop.run_until_complete(curl(pair.freshet.port))
    assert ours == pair.loop.run_until_complete(curl(pair.plain_port))
    assert ours.startswith(b"HTTP/1.")


FIELDS = st.sampled_from(
    [
        "Accept-Encoding: gzip",
        "Accept-Encoding: br;q=0.5, gzip;q=0.4",
        "Accept-Encoding: *",
        "accept-encoding:deflate",
        "If-None-Match: *",
        'If-None-Match: "nothing"',
        "If-Modified-Since: Fri, 31 Dec 2100 00:00:00 GMT",
        "If-Modified-Since: Thu, 01 Jan 2026 00:00:00 GMT",
        "Connection: keep-alive",
        "Connection: Keep-Alive",
        "User-Agent: someone  ",
        "X:",
        "Cookie: a=b; c",
        "Range: bytes=0-10",
        "Accept: text/html",
        "Content-Length: 0",
        "Expect: 100-continue",
    ]
)
TARGETS = st.sampled_from([*WARM, "/", "/healthz", "/api/artists/?limit=x", "/feeds/albums.atom/"])
BODIES = st.sampled_from(  # header and body; most requests have none
    [
        (),
        (),
        (),
        ("Content-Length: 5", b"hello"),
        ("Content-Length: 47", get("/healthz", "Connection: close")),
        ("Transfer-Encoding: chunked", b"2\r\nhi\r\n3\r\n\r\n\r\r\n0\r\n\r\n"),
    ]
)


def request_of(
    target: str, fields: list[str], method: str, body: tuple[str, bytes] | None
) -> bytes:
    """A request, with what its body is announced by and the body itself."""
    announced, content = body or ("Accept: */*", b"")
    return get(target, *fields, announced, method=method) + content


REQUESTS = st.lists(
    st.builds(
        request_of,
        TARGETS,
        st.lists(FIELDS, max_size=3),
        st.sampled_from(["GET", "GET", "HEAD", "OPTIONS", "POST"]),
        BODIES,
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(requests=REQUESTS, cuts=st.lists(st.integers(1, 2000), max_size=5))
def test_random_requests_in_random_pieces_are_answered_as_without_the_lane(
    pair: Pair, requests: list[bytes], cuts: list[int]
) -> None:
    sent = b"".join(requests) + LAST
    ends = sorted({min(cut, len(sent)) for cut in cuts} | {len(sent)})
    pieces = [sent[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    answers = pair.ask(*[piece for piece in pieces if piece], quiet=2)
    assert answers.endswith(b"<closed>")
