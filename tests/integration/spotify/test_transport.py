"""HTTP to Spotify: whatever happens on the wire, only our own errors come out."""

import asyncio
import gzip
import time
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server import __version__
from server.errors import BadAnswer, SpotifyTimeout, SpotifyUnavailable
from server.spotify.api.paging import read_page
from server.spotify.lenient_json import MAX_REPAIR_BYTES
from server.spotify.list_parser import parse_items
from server.spotify.transport import MAX_BODY_BYTES, Transport
from tests.support.examples import albums
from tests.support.loops import Closing
from tests.support.parsed_albums import check
from tests.support.ports import free_port
from tests.support.spotify_http import StartRaw, http, response

MEBIBYTE = 1024 * 1024


def chunked(body: bytes, *headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", "Transfer-Encoding: chunked", *headers, "", ""]
    pieces = [body[start : start + 65536] for start in range(0, len(body), 65536)]
    parts = [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces]
    return "\r\n".join(lines).encode() + b"".join(parts) + b"0\r\n\r\n"


@pytest.mark.gen_test
async def test_an_answer_comes_back_with_status_headers_and_body(
    transport: Transport, start_raw: StartRaw
) -> None:
    server = await start_raw(http(b'{"a": 1}', "X-Word: yes", status="418 Teapot"))
    response = await transport.send("GET", f"{server.url}/x?y=z", {})
    assert (response.status, response.json()) == (418, {"a": 1})
    assert response.headers["x-word"] == "yes"


@pytest.mark.gen_test
async def test_a_request_says_who_asks_and_carries_what_it_was_given(
    transport: Transport, start_raw: StartRaw
) -> None:
    server = await start_raw(http(b"{}"))
    await transport.send("POST", f"{server.url}/path", {"Authorization": "Bearer t"}, "a=1&b=2")
    head = server.heads[0]
    assert head.startswith("POST /path HTTP/1.1\r\n")
    assert f"User-Agent: Freshet/{__version__}\r\n" in head
    assert "Authorization: Bearer t\r\n" in head
    assert "Accept-Encoding: gzip\r\n" in head
    assert server.bodies == ["a=1&b=2"]


@pytest.mark.gen_test
async def test_a_gzipped_answer_is_unpacked(transport: Transport, start_raw: StartRaw) -> None:
    server = await start_raw(http(gzip.compress(b'{"a": 1}'), "Content-Encoding: gzip"))
    assert (await transport.send("GET", server.url, {})).json() == {"a": 1}


@pytest.mark.gen_test
async def test_an_answer_that_does_not_come_is_given_up(
    closing: Closing, start_raw: StartRaw
) -> None:
    transport = Transport(seconds=0.2)
    server = await start_raw(b"", stays_open=True)
    began = time.monotonic()
    with pytest.raises(SpotifyTimeout, match=r"no answer in 0\.2 s"):
        await transport.send("GET", server.url, {})
    assert time.monotonic() - began < 1
    transport.close()


@pytest.mark.gen_test
async def test_a_body_that_trickles_is_given_up(start_raw: StartRaw) -> None:
    transport = Transport(seconds=0.2)
    server = await start_raw(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"a"', stays_open=True)
    with pytest.raises(SpotifyTimeout, match=r"no answer in 0\.2 s"):
        await transport.send("GET", server.url, {})
    transport.close()


@pytest.mark.gen_test
async def test_a_refused_connection_is_told_as_one(transport: Transport) -> None:
    with pytest.raises(SpotifyUnavailable, match="refused"):
        await transport.send("GET", f"http://127.0.0.1:{free_port()}", {})


@pytest.mark.gen_test
async def test_something_that_speaks_no_tls_is_unavailable(start_raw: StartRaw) -> None:
    transport = Transport(seconds=0.2)
    server = await start_raw(b"no tls here\r\n\r\n")
    with pytest.raises(SpotifyUnavailable):
        await transport.send("GET", server.url.replace("http:", "https:"), {})
    transport.close()


@pytest.mark.parametrize(
    "url",
    [
        "http://no-such-host.invalid/",
        "http://two..dots/",
        "http://[::1/",
        "ftp://127.0.0.1/",
        "http://127.0.0.1:port/",
        f"http://{'long' * 20}.example/",
    ],
)
@pytest.mark.gen_test
async def test_an_address_that_leads_nowhere_is_unavailable(transport: Transport, url: str) -> None:
    with pytest.raises(SpotifyUnavailable):
        await transport.send("GET", url, {})


CUT = {
    "before the head": b"",
    "in the middle of the head": b"HTTP/1.1 200 OK\r\nConte",
    "in the middle of the body": b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"a"',
    "in the middle of a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n30\r\nabc",
}


@pytest.mark.parametrize("answer", CUT.values(), ids=CUT)
@pytest.mark.gen_test
async def test_a_connection_cut(transport: Transport, start_raw: StartRaw, answer: bytes) -> None:
    server = await start_raw(answer)
    with pytest.raises(SpotifyUnavailable):
        await transport.send("GET", server.url, {})


ZEROS = gzip.compress(b"0" * 3 * MAX_BODY_BYTES)
TOO_LONG = {
    "with a length": http(b" " * (MAX_BODY_BYTES + 1)),
    "in chunks": chunked(b" " * (MAX_BODY_BYTES + MEBIBYTE)),
    "until the connection ends": b"HTTP/1.1 200 OK\r\n\r\n" + b" " * (MAX_BODY_BYTES + MEBIBYTE),
    "once unpacked": http(ZEROS, "Content-Encoding: gzip"),
    "once unpacked, in chunks": chunked(ZEROS, "Content-Encoding: gzip"),
}


@pytest.mark.parametrize("answer", TOO_LONG.values(), ids=TOO_LONG)
@pytest.mark.gen_test
async def test_a_body_that_is_too_long(
    transport: Transport, start_raw: StartRaw, answer: bytes
) -> None:
    server = await start_raw(answer)
    with pytest.raises(SpotifyUnavailable, match="2 MiB"):
        await transport.send("GET", server.url, {})


@pytest.mark.gen_test
async def test_the_longest_body_still_comes(transport: Transport, start_raw: StartRaw) -> None:
    server = await start_raw(http(b" " * MAX_BODY_BYTES))
    assert len((await transport.send("GET", server.url, {})).body) == MAX_BODY_BYTES


HEAD = b"HTTP/1.1 200 OK\r\n"
BROKEN = {
    "another protocol": b"SSH-2.0-OpenSSH_9.9\r\n\r\n",
    "no protocol": b"\x00\x01\x02\xff\r\n\r\n",
    "a head without end": HEAD + b"X: " + b"a" * 200_000,
    "a head too long": HEAD + b"X: " + b"a" * 200_000 + b"\r\n\r\n",
    "a line that is no header": HEAD + b"this is no header\r\nContent-Length: 2\r\n\r\n{}",
    "a NUL in a header": HEAD + b"X: a\x00b\r\nContent-Length: 2\r\n\r\n{}",
    "a negative length": HEAD + b"Content-Length: -5\r\n\r\nabc",
    "a length that is no number": HEAD + b"Content-Length: abc\r\n\r\nabc",
    "two lengths": HEAD + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "an astronomical length": HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\nabc",
    "a chunk of no length": HEAD + b"Transfer-Encoding: chunked\r\n\r\nzzz\r\nabc\r\n0\r\n\r\n",
    "a negative chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n",
    "an endless chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 60 + b"\r\nabc",
    "a coding nobody asked for": HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "gzip that is none": http(b"not gzip at all", "Content-Encoding: gzip"),
    "gzip cut short": http(gzip.compress(b'{"a": 1}' * 999)[:-20], "Content-Encoding: gzip"),
    "endless 100 Continue": b"HTTP/1.1 100 Continue\r\n\r\n" * 100,
    "a switch of protocols": b"HTTP/1.1 101 Switching\r\n\r\n",
    "a 204 with a body": http(b"{}", status="204 No Content"),
}


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
@pytest.mark.gen_test
async def test_an_answer_that_is_no_http(
    transport: Transport, start_raw: StartRaw, answer: bytes
) -> None:
    server = await start_raw(answer)
    with pytest.raises(SpotifyUnavailable) as caught:
        await transport.send("GET", server.url, {})
    assert str(caught.value)


@pytest.mark.gen_test
async def test_a_header_that_cannot_be_sent_is_our_error_too(
    transport: Transport, start_raw: StartRaw
) -> None:
    server = await start_raw(http(b"{}"))
    with pytest.raises(SpotifyUnavailable):
        await transport.send("GET", server.url, {"Authorization": "Bearer a\r\nX-Evil: yes"})
    assert server.heads == []


@pytest.mark.gen_test
async def test_a_redirect_is_not_followed_and_the_authorization_goes_nowhere(
    transport: Transport, start_raw: StartRaw
) -> None:
    elsewhere = await start_raw(http(b"{}"))
    server = await start_raw(http(b"", f"Location: {elsewhere.url}/", status="302 Found"))
    response = await transport.send("GET", server.url, {"Authorization": "Bearer secret"})
    assert response.status == 302
    assert (server.connections, elsewhere.connections) == (1, 0)


@pytest.mark.gen_test
async def test_after_the_end_nothing_is_sent(transport: Transport, start_raw: StartRaw) -> None:
    server = await start_raw(http(b"{}"))
    transport.close()
    with pytest.raises(SpotifyUnavailable, match="closed"):
        await transport.send("GET", server.url, {})
    assert server.connections == 0


@pytest.mark.gen_test
async def test_requests_beyond_the_clients_share_wait_for_their_turn(
    transport: Transport, start_raw: StartRaw
) -> None:
    server = await start_raw(http(b"{}"), delay=0.02)
    responses = await asyncio.gather(*(transport.send("GET", server.url, {}) for _ in range(30)))
    assert {response.status for response in responses} == {200}


NO_OBJECTS = {
    "nothing": b"",
    "cut short": b'{"albums": {"items": [',
    "garbage": b"<html>busy</html>",
    "an array": b"[1, 2]",
    "a text": b'"albums"',
    "null": b"null",
    "a word": b'{"name": nothing}',
    "brackets without end": b"[" * 100_000,
    "arrays in arrays": b"[" * 100_000 + b"]" * 100_000,
    "objects in objects": b'{"a":' * 2000 + b"1" + b"}" * 2000,
    "deep, and not strict": b'{"n": NaN, "a":' + b"[" * 5000 + b"]" * 5000 + b"}",
    "two objects": b"{}{}",
    "UTF-16": '{"a": 1}'.encode("utf-16"),
}


@pytest.mark.parametrize("body", NO_OBJECTS.values(), ids=NO_OBJECTS)
def test_a_body_that_is_no_json_object_is_a_bad_answer(body: bytes) -> None:
    with pytest.raises(BadAnswer, match="not "):
        response(body).json()


REPAIRED: dict[str, tuple[bytes, Any]] = {
    "half a surrogate pair": (b'"Late Night \\ud83d"', "Late Night "),
    "the other half": (b'"\\udc00 Late Night"', " Late Night"),
    "both halves in the wrong order": (b'"a\\udc00\\ud83db"', "ab"),
    "a pair beside half of one": (b'"\\ud83d\\ude00\\ud83d"', "\N{GRINNING FACE}"),
    "an escaped backslash before it": (b'"\\\\ud83d \\ud83d"', "\\ud83d "),
    "bytes that are not UTF-8": (b'"Late\xff Night"', "Late\N{REPLACEMENT CHARACTER} Night"),
    "Latin-1": (b'"Caf\xe9"', "Caf\N{REPLACEMENT CHARACTER}"),
    "control characters": (b'"a\n\tb\x01\x1f"', "a\n\tb\x01\x1f"),
    "not a number": (b"NaN", None),
    "infinity": (b"[Infinity, -Infinity]", [None, None]),
    "too large a number": (b"1e999", None),
    "too small a number": (b"-1e999", None),
    "5000 digits": (b"9" * 5000, None),
    "5000 digits behind the point": (b"0." + b"3" * 5000, 1 / 3),
}


@pytest.mark.parametrize(("value", "read"), REPAIRED.values(), ids=REPAIRED)
def test_one_value_that_breaks_the_rules_of_json_harms_no_other(value: bytes, read: Any) -> None:
    body = b'{"before": "\xc3\xa9", "value": ' + value + b', "after": 3}'
    content = response(body).json()
    assert content == {"before": "é", "value": read, "after": 3}
    orjson.dumps(content)


def test_a_byte_order_mark_and_a_repeated_key_are_passed_over() -> None:
    assert response(b'\xef\xbb\xbf{"a": 1, "a": 2}').json() == {"a": 2}
    assert response(b'\xef\xbb\xbf{"a\\ud83d": NaN, "a": 2}').json() == {"a": 2}


def test_a_body_that_would_take_long_to_repair_is_a_bad_answer() -> None:
    filler = b'"' + b"x" * MAX_REPAIR_BYTES + b'"'
    assert response(b'{"a": ' + filler + b"}").json()["a"]
    with pytest.raises(BadAnswer):
        response(b'{"n": NaN, "a": ' + filler + b"}").json()


HOSTILE = (
    *(
        b"\\ud83d",
        b"\\u0000",
        b"\\",
        b'"',
        b"\xff",
        b"\xed\xa0\xbd",
        b"\x00",
        b"\n",
        b"\xef\xbb\xbf",
    ),
    *(
        b"NaN",
        b"-Infinity",
        b"1e999",
        b"-",
        b"0.",
        b"9" * 30,
        b"9" * 5000,
        b"1.5",
        b"null",
        b"true",
    ),
    *(b"{", b"}", b"[", b"]", b",", b":", b"[" * 1100, b"]" * 1100, b'{"a":' * 600, b"}" * 600),
)
PAGE = orjson.dumps(
    {"albums": {"items": albums(3), "next": "http://x/?offset=3", "total": 3, "offset": 0}}
)


@st.composite
def mutilated(draw: st.DrawFn) -> bytes:
    """A page as Spotify sends it, with pieces cut out, put in and repeated."""
    body = PAGE
    for _ in range(draw(st.integers(1, 4))):
        begin = draw(st.integers(0, len(body)))
        end = begin + draw(st.integers(0, 40))
        piece = draw(st.sampled_from(HOSTILE) | st.binary(max_size=6))
        body = body[:begin] + piece + body[end:]
    return body


@given(mutilated() | st.binary(max_size=60))
@settings(max_examples=300)
def test_whatever_body_comes_it_is_an_object_that_can_be_stored_or_a_bad_answer(
    body: bytes,
) -> None:
    answer = response(body)
    assert answer.reason().isprintable()
    with suppress(BadAnswer):
        content = answer.json()
        assert isinstance(content, dict)
        orjson.dumps(content)
        for release in parse_items(read_page(content).items).releases:
            check(release)


@pytest.mark.parametrize("message", ["[" * 1000 + "]" * 1000, '{"a":' * 1000 + "1" + "}" * 1000])
def test_a_reason_that_is_nested_deeply_is_shown_as_it_came(message: str) -> None:
    body = f'{{"error": {{"status": 403, "message": {message}}}}}'.encode()
    assert response(body).reason() == body[:200].decode()


def test_the_text_of_a_body_is_short_and_can_be_printed_and_stored() -> None:
    text = response(b"a\x00b\x1b[31m\r\nc\xff" + b"x" * 1000).text()
    assert text.isprintable()
    assert text.startswith("a b [31m")
    assert len(text) <= 200
