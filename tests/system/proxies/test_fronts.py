"""The files of deploy/ for what stands in front, in the real programs, each before a server."""

import asyncio
import io
import re
import time
from collections import Counter

import brotli
import orjson
import pytest
from sqlalchemy import create_engine, text
from tornado.httpclient import HTTPResponse

from server.app.upstream import utc_now
from server.catalog.query import ALL
from server.observability.log import configure
from tests.support.behind_proxies import PROGRAMS, STRANGER, ProxiedServer, proxied_server
from tests.support.examples import album, spotify_id
from tests.support.login_browser import Browser
from tests.support.proxies import DEPLOY, LIST
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("logging_as_it_was")


CODINGS = {
    "gzip, deflate, br, zstd": "br",
    "br;q=0, gzip": "gzip",
    "gzip;q=0.5": "gzip",
    "identity": None,
    "": None,
}
CRLF = "\r\n"


proxied = proxied_server(PROGRAMS)


def test_the_program_understands_its_file_and_finds_nothing_to_warn_of(
    proxied: ProxiedServer,
) -> None:
    proxied.front.check()


def test_each_client_gets_a_list_in_a_coding_that_it_takes(proxied: ProxiedServer) -> None:
    async def ask(wish: str) -> tuple[HTTPResponse, HTTPResponse]:
        headers = {"Accept_Encoding": wish} if wish else {}
        return await proxied.front.get(LIST, **headers), await proxied.direct.get(LIST, **headers)

    for wish, coding in 2 * tuple(CODINGS.items()):
        answer, expected = proxied.run(ask(wish))
        assert answer.code == 200, wish
        assert answer.headers.get("Content-Encoding") == coding, wish
        assert (answer.headers["ETag"], answer.body) == (expected.headers["ETag"], expected.body)
        for name in ("Vary", "Cache-Control", "Last-Modified", "Link", "X-Last-Sync"):
            assert answer.headers[name] == expected.headers[name]
        body = brotli.decompress(answer.body) if coding == "br" else answer.body
        assert coding == "gzip" or orjson.loads(body)["total"] == 5


def test_what_a_client_has_is_not_sent_again(proxied: ProxiedServer) -> None:
    async def ask() -> None:
        for coding in ("br", "gzip", "identity"):
            first = await proxied.front.get(LIST, Accept_Encoding=coding)
            again = await proxied.front.get(
                LIST, Accept_Encoding=coding, If_None_Match=first.headers["ETag"]
            )
            assert (again.code, again.body) == (304, b"")
            assert again.headers["ETag"] == first.headers["ETag"]
            head = await proxied.front.get(LIST, "HEAD", Accept_Encoding=coding)
            assert (head.code, head.body) == (200, b"")
            assert head.headers["Content-Length"] == str(len(first.body))

    proxied.run(ask())


def test_nothing_private_is_kept_and_each_key_gets_its_own(proxied: ProxiedServer) -> None:
    async def ask() -> None:
        keys = proxied.freshet.keys
        key = (await keys.create(None, "test", ["read", "manage"])).key
        with_key = {"Authorization": f"Bearer {key}", "Accept_Encoding": "identity"}
        watched = f"/api/my/watched/{spotify_id('artist', 2)}/"
        for method, total in (("PUT", 1), ("DELETE", 0), ("PUT", 1), ("DELETE", 0)):
            assert (await proxied.front.get(watched, method, **with_key)).code == 204
            for path in ("/api/my/albums/", "/api/my/artists/"):
                answer = await proxied.front.get(path, **with_key)
                assert answer.headers["Cache-Control"] == "private, no-store"
                assert orjson.loads(answer.body)["total"] == total, (path, method)
                assert (await proxied.front.get(path)).code == 401
            feed = await proxied.front.get(f"/feeds/my/albums.json?key={key}")
            assert len(orjson.loads(feed.body)["items"]) == total, method
            assert (await proxied.front.get("/feeds/my/albums.json")).code == 401

    proxied.run(ask())


def test_queries_pages_and_refusals_are_those_of_the_server(proxied: ProxiedServer) -> None:
    async def ask() -> None:
        for path, code in (
            (f"{LIST}?limit=2&offset=1", 200),
            (f"{LIST}?offset=1&junk=7&limit=2", 200),
            (f"{LIST}?l%69mit=2", 200),
            (f"{LIST}?kind=album,ep&days=90&tz=Europe/Berlin", 200),
            (f"{LIST}?days=90&days=7", 400),
            (f"{LIST}?tz=Mars", 400),
            (f"{LIST}?artist={spotify_id('artist', 1)}", 200),
            (f"{LIST}?artist=x", 400),
            (f"{LIST}?limit=x", 400),
            (f"{LIST}?limit=1&limit=2", 400),
            ("/api/albums/0123456789012345678901/", 404),
            ("/feeds/albums.atom", 200),
            ("/api/status", 200),
            ("/", 200),
            ("/healthz", 200),
        ):
            expected = await proxied.direct.get(path)
            answer = await proxied.front.get(path)
            assert (answer.code, expected.code) == (code, code), path
            if path.startswith(LIST) and code == 200:
                assert answer.body == expected.body, path
        posted = await proxied.front.get("/api/sync/", "POST")
        assert posted.code == 401

    proxied.run(ask())


def test_events_come_as_they_happen(proxied: ProxiedServer) -> None:
    async def listen() -> None:
        reader, writer = await proxied.front.stream("Last-Event-ID: 0")
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
        assert b"text/event-stream" in head
        assert b"retry: 5000" in await asyncio.wait_for(reader.readuntil(b"\n\n"), 30)
        assert b"event: added" in await asyncio.wait_for(reader.readuntil(b"\n\n"), 30)
        proxied.standin.catalogue.albums.insert(0, album(10))
        await proxied.freshet.syncer.sync()
        async with asyncio.timeout(30):
            while spotify_id("album", 10).encode() not in await reader.readuntil(b"\n\n"):
                pass
        writer.close()

    proxied.run(listen())


def test_no_event_waits_for_more_to_be_sent_with_it(proxied: ProxiedServer) -> None:
    async def listen() -> float:
        began = time.monotonic()
        reader, writer = await proxied.front.stream()
        await asyncio.wait_for(reader.readuntil(b"\n\n"), 30)
        writer.close()
        return time.monotonic() - began

    # The kernel would wait for 0.2 s each time.
    assert any(proxied.run(listen()) < 0.15 for _ in range(30))


# Varnish notices with the next comment, 15 seconds later.
@pytest.mark.parametrize("proxied", [name for name in PROGRAMS if name != "varnish"], indirect=True)
def test_a_stream_ends_with_its_client(proxied: ProxiedServer) -> None:
    broadcast = proxied.freshet.broadcast

    async def listen_and_go() -> None:
        await until(lambda: not broadcast.listeners, seconds=10)  # those of other tests
        reader, writer = await proxied.front.stream()
        await asyncio.wait_for(reader.readuntil(b"\n\n"), 30)
        await until(lambda: broadcast.listeners)
        writer.close()
        await until(lambda: not broadcast.listeners, seconds=60)

    proxied.run(listen_and_go())


def test_a_login_goes_there_and_back(proxied: ProxiedServer) -> None:
    async def log_in() -> None:
        public = proxied.freshet.settings.public_url
        browser = Browser(public, utc_now, {})
        response = await browser.log_in()
        assert response.code in (302, 303), response.body
        assert browser.session is not None
        home = await browser.get(public + "/")
        assert b"Log out" in home.body
        assert b"Log out" not in (await proxied.front.get("/")).body, "it is kept for nobody else"
        browser.close()

    proxied.run(log_in())


@pytest.mark.parametrize("path", [LIST, "/healthz"])
def test_a_client_cannot_say_that_it_is_another(proxied: ProxiedServer, path: str) -> None:
    async def ask() -> None:
        for number, extra in enumerate(
            (
                "X-Forwarded-For: 192.0.2.1",
                "X-Forwarded-For: 127.0.0.1",
                "X-Real-Ip: 192.0.2.1",
                "Forwarded: for=192.0.2.1",
            )
        ):
            query = f"?limit={number + 1}"
            answer = await proxied.from_stranger(f"GET {path}{query} HTTP/1.1", extra)
            assert answer.startswith("HTTP/1.1 200 ")

    configure("json", "info", stream := io.StringIO())
    proxied.run(ask())
    lines = [orjson.loads(line) for line in stream.getvalue().splitlines()]
    lines = [line for line in lines if line["event"] == "http_request"]
    told = [line["client"] for line in lines if line["path"].startswith(f"{path}")]
    assert told.count(STRANGER) == 4, told
    assert "192.0.2.1" not in told


def test_a_client_cannot_say_by_which_scheme_or_host_it_has_come(proxied: ProxiedServer) -> None:
    async def ask() -> None:
        for extra in ("X-Forwarded-Proto: https", "X-Forwarded-Host: evil.example", "X-Coding: br"):
            answer = await proxied.from_stranger("GET /auth/login/ HTTP/1.1", extra)
            assert answer.startswith("HTTP/1.1 302 "), "or it would be sent to PUBLIC_URL first"

    proxied.run(ask())


def test_metrics_are_for_this_machine_alone(proxied: ProxiedServer) -> None:
    async def ask() -> None:
        assert (await proxied.front.get("/metrics")).code == 200
        for target in ("/metrics", "/metrics?x", "/%6detrics", "/./metrics", "//metrics"):
            answer = await proxied.from_stranger(f"GET {target} HTTP/1.1")
            assert "freshet_" not in answer, target
            assert answer.startswith(("HTTP/1.1 4", "HTTP/1.1 3")), target

    proxied.run(ask())


@pytest.mark.parametrize("proxied", ["haproxy", "varnish"], indirect=True)
def test_one_client_is_bounded_and_others_are_served(proxied: ProxiedServer) -> None:
    """For nginx tests/system/attacks has the tests; Caddy has no limits."""

    request = f"GET {LIST} HTTP/1.1\r\nHost: test\r\n"

    async def flood() -> Counter[bytes]:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", proxied.front.port, local_addr=("127.0.0.8", 0)
        )
        writer.write(f"{1599 * f'{request}{CRLF}'}{request}Connection: close{CRLF}{CRLF}".encode())
        answers = await reader.read()
        writer.close()
        assert b'ratelimit-policy: "rate";q=1500;w=10' in answers.lower()
        return Counter(re.findall(rb"HTTP/1\.1 (\d+) ", answers))

    codes = proxied.run(flood())
    assert set(codes) == {b"200", b"429"}
    assert codes[b"200"] >= 1500
    assert codes.total() == 1600
    assert proxied.run(proxied.front.get(LIST)).code == 200


@pytest.mark.parametrize("proxied", ["haproxy"], indirect=True)
def test_streams_of_one_client_are_bounded_before_they_reach_the_server(
    proxied: ProxiedServer,
) -> None:
    async def listen() -> Counter[bytes]:
        wires = []
        for number in range(105):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1",
                proxied.front.port,
                local_addr=("127.0.0.7" if number < 104 else "127.0.0.6", 0),
            )
            writer.write(b"GET /api/events HTTP/1.1\r\nHost: test\r\n\r\n")
            wires.append((writer, (await reader.readuntil(b"\r\n"))[9:12]))
        for writer, _ in wires:
            writer.close()
        assert wires[-1][1] == b"200"
        return Counter(status for _, status in wires)

    assert proxied.run(listen()) == {b"200": 101, b"429": 4}


@pytest.mark.parametrize("proxied", ["varnish"], indirect=True)
def test_what_the_server_ignores_makes_no_copy(proxied: ProxiedServer) -> None:
    source = (DEPLOY / "varnish.vcl").read_text(encoding="utf-8")
    (names,) = re.findall(r"&\(\?!\(([a-z_|]+)\)", source)
    assert set(names.split("|")) == {name for kind in ALL for name in kind.model_fields}

    async def ask() -> None:
        first = await proxied.front.get("/api/albums/?limit=3&offset=1")
        for query in (
            "offset=1&limit=3",
            "a=1&limit=3&b&offset=1&",
            "xlimit=2&limit=3&offset=1&Q=1",
        ):
            answer = await proxied.front.get(f"/api/albums/?{query}")
            assert answer.body == first.body
            assert len(answer.headers["X-Varnish"].split()) == 2, "it was kept"

    proxied.run(ask())


def test_a_server_without_its_database_still_serves_its_lists(proxied: ProxiedServer) -> None:
    with_admin = create_engine(proxied.url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    name = proxied.url.database

    async def ask() -> None:
        assert (await proxied.front.get("/readyz")).code == 200
        with with_admin.connect() as connection:
            connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
            connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"
                ),
                {"name": name},
            )
        async with asyncio.timeout(30):
            while (await proxied.direct.get("/readyz")).code != 503:
                await asyncio.sleep(0.1)
        await asyncio.sleep(1)  # for some checks
        for _ in range(3):
            assert (await proxied.front.get(f"{LIST}?limit=1&%6e=1")).code == 200
            assert (await proxied.front.get(LIST)).code == 200

    try:
        proxied.run(ask())
    finally:
        with with_admin.connect() as connection:
            connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true"))
        with_admin.dispose()


def test_what_is_kept_is_served_while_the_server_is_down(proxied: ProxiedServer) -> None:
    async def ask() -> None:
        for _ in range(3):
            kept = await proxied.front.get(LIST)
            assert kept.code == 200
        ids = [each["spotify_id"] for each in orjson.loads(kept.body)["items"]]
        await proxied.freshet.stop()
        await asyncio.sleep(1.2)
        for pause in (0, 1):  # at once, and when checks have failed
            await asyncio.sleep(pause)
            answer = await proxied.front.get(LIST)
            if proxied.name in ("nginx", "varnish"):
                # Its artists may have got their details meanwhile, which a cache fetches later.
                assert answer.code == 200
                items = orjson.loads(answer.body)["items"]
                assert [each["spotify_id"] for each in items] == ids
            else:
                assert answer.code in (502, 503)
        assert (await proxied.front.get("/status")).code in (502, 503)

    proxied.run(ask())
