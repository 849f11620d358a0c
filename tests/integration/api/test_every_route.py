"""What is promised of every public route, held against the server's own table of routes.

A new route is asked for everything, until it is entered below among those that promise less.
"""

import asyncio
import gzip
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import brotli
import pytest
from tornado.httputil import HTTPHeaders
from tornado.platform.asyncio import AsyncIOLoop

from server.app.application import Application
from server.catalog.schemas import Problem
from tests.support.catalog_server import Stage
from tests.support.clock import Clock
from tests.support.databases import NewDatabase
from tests.support.description import openapi
from tests.support.examples import albums, spotify_id
from tests.support.loops import shared_io_loop
from tests.support.servers import LaunchFreshet
from tests.support.settings import PUBLIC_URL, MakeSettings, settings_for
from tests.support.waiting import until

STATIC = "/static/freshet.css"
PROBLEM = "/problems/not-found"
SIGNPOSTS = {
    "/favicon.ico",
    "/robots.txt",
    "/api/",
}  # which tests/integration/pages/test_files.py asks for
HOURLY = {
    STATIC,
    PROBLEM,
    "/api/openapi.json",
    "/api/docs/",
}  # as they change with the program only
PUBLIC = {"/", "/status", f"/artists/{spotify_id('artist', 0)}/"}
PERSONAL = {  # of the browser's session, in no other origin's reach
    *PUBLIC,
    "/auth/login/",
    "/auth/authorize/",
    "/auth/callback/",
    "/auth/logout/",
    "/auth/disconnect/",
    "/api/sync/",
}
OWNERS = "/(?:(?:api|feeds)/)?my/"  # which tests/integration/api/test_my.py asks for
PAGES = {*PERSONAL, "/api/docs/"}
OPERATORS = {"/healthz", "/readyz", "/metrics"}
# Of varying length: one counts requests, the other says how long ago things were.
GROWING = {"/metrics", "/status"}
LIVE = {"/api/events", "/api/status", *OPERATORS}  # never kept
CLOSED = {*PAGES, *OPERATORS, STATIC}  # to scripts of other origins
OF_EVERY_ANSWER = {
    "access-control-allow-origin",
    "access-control-expose-headers",
    "connection",
    "content-length",
    "content-type",
    "date",
    "server",
    "transfer-encoding",
    "x-accel-buffering",
    "x-content-type-options",
}
OWN = {
    "Ratelimit",
    "Date",
    "Transfer-Encoding",
}  # a HEAD may leave out the latter (RFC 9112 section 6.1)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
DECODE: dict[str, Callable[[bytes], bytes]] = {
    "br": brotli.decompress,
    "gzip": gzip.decompress,
    "identity": bytes,
}


@dataclass(frozen=True)
class Heard:
    """An answer as it came."""

    status: int
    headers: HTTPHeaders
    body: bytes

    @property
    def lasting(self) -> dict[str, str]:
        return {name: value for name, value in self.headers.get_all() if name not in OWN}

    @property
    def named(self) -> set[str]:
        return {name.lower() for name in self.headers}


def addresses(freshet: Application) -> list[str]:
    """An address of each route, which its pattern has to match."""
    found = []
    for pattern, *_ in freshet.routes():
        if re.match(OWNERS, pattern):
            continue
        kind = "artist" if "/artists/" in pattern else "album"
        address = re.sub(r"\([^()]*\{22\}[^()]*\)", spotify_id(kind, 0), pattern)
        address = re.sub(r"\(\[a-z-\]\+\)", "not-found", address)
        address = STATIC if address.startswith("/static/") else address
        address = address.replace("\\", "").removesuffix("?")
        assert re.fullmatch(pattern, address), f"what is an address of {pattern}?"
        found.append(address)
    assert set(found) >= SIGNPOSTS
    return [address for address in found if address not in SIGNPOSTS]


async def ask(stage: Stage, path: str, method: str = "GET", **headers: str) -> Heard:
    """Ask as a plain client does; of a stream only its head is read."""
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.freshet.port)
    names = {"Host": "freshet", "Connection": "close"}
    names |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in names.items())
    writer.write(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode())
    async with asyncio.timeout(30):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        start, _, fields = head.partition("\r\n")
        parsed = HTTPHeaders.parse(fields)
        stream = parsed.get("Content-Type") == "text/event-stream" and method != "HEAD"
        body = b"" if stream else await reader.read()
    writer.close()
    return Heard(int(start.split()[1]), parsed, body)


@pytest.fixture(scope="module")
def io_loop() -> Iterator[AsyncIOLoop]:
    """One loop for all tests of this module, which share a server."""
    with shared_io_loop() as loop:
        yield loop


@pytest.fixture(scope="module")
def stage(io_loop: AsyncIOLoop, new_database: NewDatabase, migrated: str) -> Iterator[Stage]:
    """A server with something to serve, whose time stands still; no test changes anything."""
    with new_database(migrated) as url:
        clock = Clock(datetime(2026, 11, 20, 5, 0, 12, tzinfo=UTC))
        freshet = Application(settings_for(url, sync_interval=0), clock)
        made = Stage(freshet)

        async def begin() -> None:
            freshet.start()
            await until(lambda: freshet.timers.are_running)
            await made.take(albums(3), clock())
            await freshet.upstream_status.load()  # which a timer would do in the middle of a test

        io_loop.run_sync(begin)
        yield made
        made.client.http.close()
        io_loop.run_sync(freshet.stop)


@pytest.fixture
def routes(stage: Stage) -> list[str]:
    return addresses(stage.freshet)


def kept(routes: list[str]) -> list[str]:
    """Those that caches may keep, in one way or the other."""
    return [path for path in routes if path not in LIVE | PERSONAL | {STATIC}]


def described(code: str, stage: Stage) -> Iterator[tuple[str, dict[str, Any]]]:
    """The GET operations that may answer with a status, with their addresses."""
    found = addresses(stage.freshet)
    for template, item in openapi()["paths"].items():
        if "get" in item and "security" not in item["get"] and code in item["get"]["responses"]:
            (path,) = [
                each
                for each in found
                if re.fullmatch(re.sub(r"\{\w+\}", "[^/]{22}", template), each)
            ]
            yield path, item["get"]


def number_of(operation: dict[str, Any]) -> str:
    """The first parameter of the query that is a number."""
    (name, *_) = (
        each["name"]
        for each in operation["parameters"]
        if each["in"] == "query" and each["schema"].get("type") == "integer"
    )
    return str(name)


def assert_problem(heard: Heard, status: int, path: str) -> None:
    assert heard.status == status, path
    assert heard.headers["Content-Type"] == "application/problem+json", path
    assert Problem.model_validate_json(heard.body).status == status, path
    assert heard.headers["Access-Control-Allow-Origin"] == "*", path
    assert heard.headers["Cache-Control"].removeprefix("private, ") == "no-store", path
    assert heard.headers["X-Content-Type-Options"] == "nosniff", path


def assert_open(heard: Heard, path: str) -> None:
    """Scripts of any origin may read it and its headers, but never with the user's cookies."""
    assert heard.headers["Access-Control-Allow-Origin"] == "*", path
    assert heard.headers["Access-Control-Expose-Headers"] == "*", path
    assert "Access-Control-Allow-Credentials" not in heard.headers, path


def test_those_that_promise_less_are_routes(routes: list[str]) -> None:
    assert {STATIC, *LIVE, *PAGES} <= set(routes)


@pytest.mark.gen_test
async def test_whoever_has_an_answer_is_not_sent_it_again(stage: Stage, routes: list[str]) -> None:
    for path in [*kept(routes), STATIC]:
        first = await ask(stage, path)
        etag = first.headers["ETag"]
        assert re.fullmatch(r'"[^"]+"', etag), path
        for known in (etag, f"W/{etag}", f'"x", {etag}', "*"):
            for method in ("GET", "HEAD"):
                again = await ask(stage, path, method, If_None_Match=known)
                assert (again.status, again.body) == (304, b""), (path, method, known)
                for name in ("ETag", "Cache-Control", "Vary"):
                    assert again.headers.get(name) == first.headers.get(name), (path, name)
        other = await ask(stage, path, If_None_Match='"x"')
        assert (other.status, other.body) == (200, first.body), path


@pytest.mark.gen_test
async def test_whoever_has_an_answer_of_that_date_is_not_sent_it_again(
    stage: Stage, routes: list[str]
) -> None:
    undated = HOURLY - {STATIC}  # of which only the program's version is known
    for path in [*kept(routes), STATIC]:
        first = await ask(stage, path)
        assert ("Last-Modified" in first.headers) is (path not in undated), path
        date = first.headers.get("Last-Modified", "Fri, 20 Nov 2026 05:00:12 GMT")
        for method in ("GET", "HEAD"):
            again = await ask(stage, path, method, If_Modified_Since=date)
            assert again.status == (200 if path in undated else 304), (path, method)
            assert again.headers.get("Last-Modified") == first.headers.get("Last-Modified"), path
        older = {"If_Modified_Since": "Thu, 01 Jan 1998 00:00:00 GMT"}
        other = {"If_Modified_Since": date, "If_None_Match": '"x"'}
        for headers in (older, other):
            answer = await ask(stage, path, **headers)
            assert (answer.status, answer.body) == (200, first.body), (path, headers)


@pytest.mark.gen_test
async def test_head_is_get_without_the_body(stage: Stage, routes: list[str]) -> None:
    asked = [path for path in routes if path not in PERSONAL - PUBLIC]
    for path in asked:
        for coding in DECODE:
            whole = await ask(stage, path, Accept_Encoding=coding)
            head = await ask(stage, path, "HEAD", Accept_Encoding=coding)
            assert whole.status == head.status == 200, path
            if path not in GROWING:
                assert head.lasting == whole.lasting, path
            assert head.lasting.keys() == whole.lasting.keys(), path
            assert head.body == b"", path
            assert whole.body or path == "/api/events", path


@pytest.mark.gen_test
async def test_each_coding_is_sent_to_who_wants_it(stage: Stage, routes: list[str]) -> None:
    for path in kept(routes):
        plain = await ask(stage, path)
        assert "Content-Encoding" not in plain.headers, path
        etags = set()
        for coding, decode in DECODE.items():
            answer = await ask(stage, path, Accept_Encoding=f"{coding}, *;q=0")
            assert answer.headers.get("Content-Encoding", "identity") == coding, path
            varies = "Accept, Accept-Encoding" if path == PROBLEM else "Accept-Encoding"
            assert answer.headers["Vary"] == varies, path
            assert answer.headers["Content-Length"] == str(len(answer.body)), path
            assert decode(answer.body) == plain.body, path
            etags.add(answer.headers["ETag"])
            again = await ask(
                stage, path, Accept_Encoding=coding, If_None_Match=answer.headers["ETag"]
            )
            assert again.status == 304, (path, coding)
        assert len(etags) == len(DECODE), f"{path}: each has its own bytes"


@pytest.mark.gen_test
async def test_it_is_told_how_long_an_answer_may_be_kept(stage: Stage, routes: list[str]) -> None:
    seconds = stage.freshet.settings.cache_max_age
    fresh = f"public, max-age={seconds}, stale-while-revalidate=60, stale-if-error=86400"
    others = {
        **dict.fromkeys(HOURLY, "public, max-age=3600"),
        **dict.fromkeys(PUBLIC | LIVE, "no-store"),
        "/api/changes/": "no-cache",
    }
    for path in routes:
        if path not in PERSONAL - PUBLIC:
            answer = await ask(stage, path)
            assert answer.headers["Cache-Control"] == others.get(path, fresh), path
            assert answer.headers["X-Content-Type-Options"] == "nosniff", path


@pytest.mark.gen_test
async def test_every_answer_of_the_api_leads_to_its_description(
    stage: Stage, routes: list[str]
) -> None:
    for path in routes:
        if path.startswith(("/api/", "/feeds/")) and path not in PERSONAL:
            answer = await ask(stage, path)
            assert f'<{PUBLIC_URL}/api/openapi.json>; rel="service-desc"' in answer.headers["Link"]
    assert (await ask(stage, "/api/openapi.json")).status == 200


@pytest.mark.gen_test
async def test_scripts_of_any_origin_may_read_what_is_public(
    stage: Stage, routes: list[str]
) -> None:
    for path in routes:
        options = await ask(stage, path, "OPTIONS", Origin="https://a.example")
        assert (options.status, options.body) == (204, b""), path
        assert "OPTIONS" in options.headers["Allow"].split(", "), path
        if path in CLOSED:
            assert not [name for name in options.headers if name.startswith("Access-Control")], path
            continue
        assert options.headers["Access-Control-Allow-Origin"] == "*", path
        assert options.headers["Access-Control-Allow-Methods"] == options.headers["Allow"], path
        for method in ("GET", "HEAD", "DELETE"):
            answer = await ask(stage, path, method, Origin="https://a.example", Content_Length="0")
            assert_open(answer, path)


@pytest.mark.gen_test
async def test_scripts_of_any_origin_may_send_every_header_to_what_is_public(
    stage: Stage, routes: list[str]
) -> None:
    asked = "authorization,cache-control,content-type,if-modified-since,last-event-id,x-any"
    wish = {"Access_Control_Request_Method": "GET", "Access_Control_Request_Headers": asked}
    for path in [each for each in routes if each not in CLOSED]:
        options = await ask(stage, path, "OPTIONS", Origin="https://a.example", **wish)
        allowed = options.headers["Access-Control-Allow-Headers"].lower().split(", ")
        assert set(allowed) == {"*", "authorization"}, f"{path}: the one is not part of the other"
        assert int(options.headers["Access-Control-Max-Age"]) > 0, path


@pytest.mark.gen_test
async def test_scripts_of_any_origin_may_read_that_nothing_is_new_and_every_problem(
    stage: Stage,
) -> None:
    etag = (await ask(stage, "/api/artists/")).headers["ETag"]
    for status, path, headers in (
        (304, "/api/artists/", {"If_None_Match": etag}),
        (304, "/api/changes/", {"If_None_Match": "*"}),
        (400, "/api/artists/?limit=x", {}),
        (400, "/api/events?after=x", {}),
        (404, "/api/artists/none/", {}),
        (404, "/nothing", {}),
        (414, f"/api/albums/?x={'y' * 5000}", {}),
    ):
        answer = await ask(stage, path, Origin="https://a.example", **headers)
        assert answer.status == status, path
        assert_open(answer, path)
    wish = {"Access_Control_Request_Method": "GET", "Access_Control_Request_Headers": "x-any"}
    options = await ask(stage, "/api/none", "OPTIONS", Origin="https://a.example", **wish)
    assert (options.status, options.headers["Access-Control-Allow-Origin"]) == (204, "*")
    assert (await ask(stage, "/api/none", "OPTIONS")).status == 404, "which is no preflight"


@pytest.mark.gen_test
async def test_a_method_that_a_route_has_not_is_refused_with_those_it_has(
    stage: Stage, routes: list[str]
) -> None:
    for path in routes:
        allow = (await ask(stage, path, "OPTIONS")).headers["Allow"]
        missing = [each for each in METHODS if each not in allow.split(", ")]
        assert "PATCH" in missing, path
        for method in missing:
            answer = await ask(stage, path, method, Content_Length="0")
            assert (answer.status, answer.headers["Allow"]) == (405, allow), (path, method)
            if path.startswith(("/api/", "/feeds/")) and method != "HEAD":
                assert_problem(answer, 405, path)


@pytest.mark.gen_test
async def test_with_and_without_the_last_slash_it_is_the_same(
    stage: Stage, routes: list[str]
) -> None:
    twins = [path for path in kept(routes) if path.endswith("/")]
    assert len(twins) >= 6
    for path in twins:
        answer, twin = await ask(stage, path), await ask(stage, path.rstrip("/"))
        assert (twin.status, twin.body) == (200, answer.body), path
        assert twin.lasting == answer.lasting, path


@pytest.mark.gen_test
async def test_every_refusal_that_is_described_is_a_problem(stage: Stage) -> None:
    asked = []
    for path, operation in described("400", stage):
        name = number_of(operation)
        refused = await ask(stage, f"{path}?{name}=x")
        assert_problem(refused, 400, path)
        (fault,) = Problem.model_validate_json(refused.body).errors
        assert fault.parameter == name, path
        asked.append(path)
    for path, _ in described("404", stage):
        assert_problem(await ask(stage, re.sub(r"\w{22}", "x" * 22, path)), 404, path)
        asked.append(path)
    for path, _ in described("414", stage):
        assert_problem(await ask(stage, f"{path}?x={'y' * 5000}"), 414, path)
    assert {*asked, "/api/status"} == {path for path, _ in described("200", stage)}
    for path in ("/api/none", "/api/artists/none/", "/feeds/none"):
        assert_problem(await ask(stage, path), 404, path)


@pytest.mark.gen_test
async def test_every_answer_has_the_headers_that_are_described_and_no_others(stage: Stage) -> None:
    for path, operation in described("200", stage):
        answers = {200: await ask(stage, path)}
        if "304" in operation["responses"]:
            answers[304] = await ask(stage, path, If_None_Match="*")
        if "400" in operation["responses"]:
            answers[400] = await ask(stage, f"{path}?{number_of(operation)}=x")
        if "404" in operation["responses"]:
            answers[404] = await ask(stage, re.sub(r"\w{22}", "x" * 22, path))
        for status, answer in answers.items():
            assert answer.status == status, path
            told = {name.lower() for name in operation["responses"][str(status)]["headers"]}
            assert answer.named - OF_EVERY_ANSWER == told, (path, status)


@pytest.mark.gen_test
async def test_lists_objects_feeds_and_the_journal_have_every_header_of_the_readme(
    stage: Stage, routes: list[str]
) -> None:
    names = {"etag", "last-modified", "x-last-sync", "cache-control", "vary", "link"}
    for path in set(kept(routes)) - HOURLY:
        assert names <= (await ask(stage, path)).named, path
    headers = (await ask(stage, "/api/status")).headers
    assert headers["X-Last-Sync"] == (await ask(stage, "/api/artists/")).headers["X-Last-Sync"]


@pytest.mark.gen_test
async def test_with_nothing_to_serve_it_is_said_when_to_come_again(
    make_settings: MakeSettings, launch_freshet: LaunchFreshet
) -> None:
    freshet = launch_freshet(make_settings(sync_interval=0))
    await until(lambda: freshet.timers.are_running)
    stage = Stage(freshet)
    await stage.freshet.cache.refresh()
    freshet.database._engine = None
    asked = [path for path, _ in described("503", stage) if path != "/api/events"]
    assert len(asked) >= 9
    for path in asked:
        answer = await ask(stage, path)
        assert_problem(answer, 503, path)
        assert 0 < int(answer.headers["Retry-After"]) <= 60, path
    stage.client.http.close()
