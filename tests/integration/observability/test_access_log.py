"""The access log: a line a request or counted, as `ACCESS_LOG` says, and no secret in any."""

import asyncio
import io
import logging
import re
from collections.abc import Callable, Iterator
from typing import Any
from uuid import RFC_4122, UUID

import orjson
import pytest
from tornado.httpclient import HTTPResponse
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.platform.asyncio import AsyncIOLoop
from tornado.web import Application, HTTPError

from handlers.base import BaseHandler
from server.observability.access_log import AccessLog
from server.observability.log import configure
from tests.support.examples import albums
from tests.support.http_client import new_client
from tests.support.servers import StartFreshet
from tests.support.standins import StartStandIn
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("logging_as_it_was")


TOKEN = "BQDx-9aZ-not-for-logs"


class Page(BaseHandler):
    """Answers 200, warm if asked for."""

    def get(self) -> None:
        self.warm = self.get_query_argument("warm", "") == "yes"
        self.finish(b"12345")

    head = get

    def post(self) -> None:
        raise HTTPError(409)


class Broken(BaseHandler):
    """Answers 500."""

    def get(self) -> None:
        raise RuntimeError(f"code={TOKEN}")


class WebServer:
    """A server with an access log, and what it has logged."""

    def __init__(self, mode: Any, stream: io.StringIO) -> None:
        self.access_log = AccessLog(mode)
        self._stream = stream
        routes: list[Any] = [("/page", Page), ("/broken", Broken)]
        application = Application(routes, default_handler_class=Page, log_function=self.access_log)
        self.server = HTTPServer(application)
        sockets = bind_sockets(0, "127.0.0.1")
        self.server.add_sockets(sockets)
        self.url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
        self.http = new_client()

    async def ask(self, path: str, **options: Any) -> HTTPResponse:
        return await self.http.fetch(self.url + path, raise_error=False, **options)

    async def stop(self) -> None:
        self.http.close()
        self.server.stop()
        await self.server.close_all_connections()

    def lines(self, event: str = "http_request") -> list[dict[str, Any]]:
        lines = map(orjson.loads, self._stream.getvalue().splitlines())
        return [line for line in lines if line["event"] == event]

    async def logged(self, count: int) -> list[dict[str, Any]]:
        """An answer can be here before its line is."""
        await until(lambda: len(self.lines()) >= count)
        return self.lines()


@pytest.fixture
def site_with(io_loop: AsyncIOLoop) -> Iterator[Callable[[Any], WebServer]]:
    sites: list[WebServer] = []

    def start(mode: Any) -> WebServer:
        stream = io.StringIO()
        configure("json", "info", stream)
        sites.append(WebServer(mode, stream))
        return sites[-1]

    yield start
    for site in sites:
        io_loop.run_sync(site.stop)


async def all_kinds(site: WebServer) -> None:
    """A warm one, a cold one, one refused, one that breaks."""
    await site.ask("/page?warm=yes")
    await site.ask("/page")
    await site.ask("/page", method="POST", body="")
    await site.ask("/broken")


@pytest.mark.gen_test
async def test_all_has_a_line_for_each(site_with: Any) -> None:
    site = site_with("all")
    await all_kinds(site)
    lines = await site.logged(4)
    assert [line["status"] for line in lines] == [200, 200, 409, 500]
    assert [line["warm"] for line in lines] == [True, False, False, False]
    site.access_log.summarise()
    assert site.lines("http_summary") == []


@pytest.mark.gen_test
async def test_summary_counts_the_warm_and_has_a_line_for_the_others(site_with: Any) -> None:
    site = site_with("summary")
    for _ in range(5):
        await site.ask("/page?warm=yes")
    await all_kinds(site)
    assert [line["status"] for line in await site.logged(3)] == [200, 409, 500]
    assert site.lines("http_summary") == []
    site.access_log.summarise()
    site.access_log.summarise()
    (summary,) = site.lines("http_summary")
    assert summary["hits"] == 6
    assert 0 <= summary["seconds"] < 60
    assert len(site.lines()) == 3


@pytest.mark.gen_test
async def test_errors_has_lines_for_what_went_wrong_only(site_with: Any) -> None:
    site = site_with("errors")
    await all_kinds(site)
    assert [line["status"] for line in await site.logged(2)] == [409, 500]
    site.access_log.summarise()
    assert site.lines("http_summary") == []


@pytest.mark.gen_test
async def test_off_has_no_line(site_with: Any) -> None:
    site = site_with("off")
    await all_kinds(site)
    site.access_log.summarise()
    assert site.lines() == site.lines("http_summary") == []


@pytest.mark.gen_test
async def test_a_line_says_what_was_asked_and_what_came_of_it(site_with: Any) -> None:
    site = site_with("all")
    await site.ask("/page?limit=5")
    (line,) = await site.logged(1)
    assert line.pop("timestamp")
    assert len(line.pop("request_id")) == 36
    assert 0 <= line.pop("duration_ms") < 5000
    assert line == {
        "level": "info",
        "event": "http_request",
        "method": "GET",
        "path": "/page?limit=5",
        "client": "127.0.0.1",
        "status": 200,
        "bytes": 5,
        "warm": False,
    }


@pytest.mark.gen_test
async def test_what_broke_is_a_warning_with_the_id_that_the_client_was_told(site_with: Any) -> None:
    site = site_with("summary")
    answer = await site.ask("/broken")
    (line,) = await site.logged(1)
    (crash,) = site.lines("request_crashed")
    assert line["level"] == "warning"
    told = orjson.loads(answer.body)["instance"]
    assert told == f"urn:request:{line['request_id']}" == f"urn:request:{crash['request_id']}"


@pytest.mark.gen_test
async def test_each_request_of_a_connection_has_its_own_id(site_with: Any) -> None:
    site = site_with("all")
    for _ in range(3):
        await site.ask("/page", headers={"Connection": "keep-alive"})
    assert len({line["request_id"] for line in await site.logged(3)}) == 3


@pytest.mark.parametrize(
    "query",
    [
        f"code={TOKEN}&state={TOKEN}",
        f"error=access_denied&state={TOKEN}",
        f"access_token={TOKEN}",
        f"refresh_token={TOKEN}&x=1",
        f"client_secret={TOKEN}",
        f"password={TOKEN}",
        f"token={TOKEN}",
        f"next=%2Fauth%3Fcode%3D{TOKEN}",
    ],
)
@pytest.mark.gen_test
async def test_secrets_in_a_query_are_masked_wherever_the_path_is_told(
    site_with: Any, query: str
) -> None:
    site = site_with("all")
    await site.ask(f"/page?{query}")
    await site.ask(f"/broken?{query}")
    lines = await site.logged(2)
    assert TOKEN not in site._stream.getvalue()
    assert all("********" in line["path"] for line in lines)


@pytest.mark.gen_test
async def test_a_very_long_address_is_cut(site_with: Any) -> None:
    site = site_with("all")
    await site.ask(f"/page?q={'x' * 10_000}")
    (line,) = await site.logged(1)
    assert len(line["path"]) == 300


@pytest.mark.gen_test
async def test_an_answer_without_a_body_has_no_bytes(site_with: Any) -> None:
    site = site_with("all")
    await site.ask("/page", method="OPTIONS")
    (line,) = await site.logged(1)
    assert (line["status"], line["bytes"]) == (204, 0)


@pytest.mark.gen_test
async def test_the_answer_to_head_sends_no_bytes(site_with: Any) -> None:
    site = site_with("all")
    await site.ask("/page", method="HEAD")
    (line,) = await site.logged(1)
    assert (line["method"], line["status"], line["bytes"]) == ("HEAD", 200, 0)


def test_an_answer_of_the_fast_lane_has_the_same_line_with_its_secrets_masked() -> None:
    stream = io.StringIO()
    configure("json", "info", stream)
    logging.getLogger().handlers[:] = logging.getLogger().handlers[-1:]
    access_log = AccessLog("all")
    for _ in range(2):
        target = f"/api/artists/?q=x&code={TOKEN}&{'y' * 400}"
        access_log.hit("HEAD", target, "127.0.0.1", 304, 0, 0.0123)
    first, second = map(orjson.loads, stream.getvalue().splitlines())
    ids = [UUID(line.pop("request_id")) for line in (first, second)]
    assert ids[0] != ids[1]
    assert {(each.version, each.variant) for each in ids} == {(4, RFC_4122)}
    assert first.pop("timestamp") <= second.pop("timestamp")
    assert first == second
    assert TOKEN not in first["path"]
    assert len(first["path"]) <= 300
    assert (first["method"], first["status"], first["bytes"]) == ("HEAD", 304, 0)
    assert (first["duration_ms"], first["warm"], first["level"]) == (12.3, True, "info")


@pytest.mark.gen_test
async def test_each_answer_of_the_fast_lane_on_one_connection_has_a_line(
    start_standin: StartStandIn, start_freshet: StartFreshet
) -> None:
    freshet = await start_freshet(start_standin(albums(5)), access_log="all")
    stream = io.StringIO()
    configure("json", "info", stream)
    request = b"GET /api/artists/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", freshet.port)
    sizes = []
    for asked in (request, request, request, 2 * request):
        writer.write(asked)
        for _ in range(asked.count(request)):
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
            sizes.append(int(re.findall(rb"Content-Length: (\d+)", head)[0]))
            await reader.readexactly(sizes[-1])
    writer.close()
    lines = [orjson.loads(line) for line in stream.getvalue().splitlines()]
    told = [line for line in lines if line["event"] == "http_request"]
    assert [line["bytes"] for line in told] == sizes
    assert [line["warm"] for line in told[1:]] == 4 * [True]
    assert {line["client"] for line in told} == {"127.0.0.1"}
    took = [line["duration_ms"] for line in told[1:]]
    assert any(0 < each < 1 for each in took), f"{took}: uvloop's clock has milliseconds"
