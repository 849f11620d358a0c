"""Requests that no handler sees get a problem, a line in the access log and a count."""

import re

import orjson
import pytest
from structlog.testing import capture_logs

from server.http.refusals import TlsLog
from tests.support.examples import albums
from tests.support.raw_http import exchange
from tests.support.servers import StartFreshet
from tests.support.standins import StartStandIn

HELLO = bytes.fromhex("16030102000100") + bytes(200)


def get(target: str, *fields: str) -> bytes:
    lines = "".join(f"{field}\r\n" for field in ("Host: freshet", *fields))
    return f"GET {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1")


UNREADABLE = {
    "1 000 empty parameters": (get("/api/artists/?" + 1000 * "&"), 400, "GET"),
    "no host": (b"GET / HTTP/1.1\r\nAccept: */*\r\n\r\n", 400, "GET"),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "GET"),
    "a bad host": (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "GET"),
    "a null byte": (get("/", "X: \0"), 400, ""),
    "no request": (b"hello\r\n\r\n", 400, ""),
    "no address": (get("http://["), 400, "GET"),
    "version 2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, ""),
    "two lengths": (get("/healthz", "Content-Length: 1", "Content-Length: 2"), 400, "GET"),
    "a bad chunk": (get("/healthz", "Transfer-Encoding: chunked") + b"x\r\n\r\n", 400, "GET"),
    "a chunk without an end": (
        get("/healthz", "Transfer-Encoding: chunked") + 99 * b"1",
        400,
        "GET",
    ),
    "a body of many chunks": (
        get("/healthz", "Transfer-Encoding: chunked") + 101 * b"1\r\nx\r\n",
        413,
        "GET",
    ),
    "a large body": (get("/healthz", "Content-Length: 99999999") + b"x", 413, "GET"),
}


@pytest.mark.gen_test
async def test_what_tornado_cannot_read_gets_a_problem_a_line_and_a_count(
    start_standin: StartStandIn, start_freshet: StartFreshet
) -> None:
    freshet = await start_freshet(
        start_standin(albums(5)), public_url="https://music.example.org/freshet"
    )
    for name, (sent, status, method) in UNREADABLE.items():
        with capture_logs() as logs:
            answer = await exchange(freshet.port, [sent], quiet=5)
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(f"HTTP/1.1 {status} ".encode()), name
        assert b"\r\nContent-Type: application/problem+json\r\n" in head, name
        assert b"\r\nConnection: close\r\n" in head, name
        assert body.endswith(b"<closed>"), name
        problem = orjson.loads(body.removesuffix(b"<closed>"))
        assert problem["type"].startswith("/freshet/problems/"), name
        assert (problem["status"], problem["title"] != "") == (status, True), name
        assert problem["detail"].startswith("The request cannot be read: "), name
        assert "a/b" not in problem["detail"]
        (line,) = (each for each in logs if each["event"] == "http_request")
        assert (line["status"], line["method"], line["client"]) == (status, method, "127.0.0.1")
        assert line["reason"], name
    text = freshet.metrics.text().decode()
    counted = re.findall(r'requests_total\{by="parser",.*route="other",.*\} (.*)', text)
    assert sum(map(float, counted)) == len(UNREADABLE)


@pytest.mark.gen_test
async def test_a_refusal_comes_behind_the_answers_before_it(
    start_standin: StartStandIn, start_freshet: StartFreshet
) -> None:
    freshet = await start_freshet(start_standin(albums(5)))
    answer = await exchange(freshet.port, [get("/healthz") + get("/?" + 1000 * "&")], quiet=5)
    assert re.findall(rb"HTTP/1.1 (\d+)", answer) == [b"200", b"400"]
    (body,) = re.findall(rb"\r\n\r\n(\{[^\r]*\})<closed>", answer)
    assert orjson.loads(body)["status"] == 400


@pytest.mark.gen_test
async def test_close_among_other_options_closes(
    start_standin: StartStandIn, start_freshet: StartFreshet
) -> None:
    freshet = await start_freshet(start_standin(albums(5)))
    for options in ("TE, close", "close,TE", "Close", "keep-alive,CLOSE"):
        for path in ("/api/artists/", "/healthz"):
            sent = get(path, f"Connection: {options}")
            answer = await exchange(freshet.port, [sent], quiet=5)
            assert answer.startswith(b"HTTP/1.1 200 "), options
            assert b"\r\nConnection: close\r\n" in answer, options
            assert answer.endswith(b"<closed>"), options


@pytest.mark.gen_test
async def test_tls_on_the_http_port_is_closed_at_once_and_told(
    start_standin: StartStandIn, start_freshet: StartFreshet
) -> None:
    freshet = await start_freshet(start_standin(albums(5)))
    with capture_logs() as logs:
        for pieces in ([HELLO], [HELLO[:1], HELLO[1:]], [HELLO]):
            assert await exchange(freshet.port, pieces, quiet=5) == b"<closed>"
    told = [each for each in logs if each["event"] == "tls_on_http_port"]
    assert [(each["client"], each["times"]) for each in told] == [("127.0.0.1", 1)]


def test_tls_is_told_once_a_minute_with_its_count() -> None:
    now = [0.0]
    tls = TlsLog(lambda: now[0])
    with capture_logs() as logs:
        for second in (0, 1, 59, 61, 62, 200):
            now[0] = second
            tls.note("127.0.0.1")
    assert [each["times"] for each in logs] == [1, 3, 2]
