"""`GET /api/artists/` on a real port: headers, codings, conditions, methods and bad input."""

import asyncio
import gzip
from typing import Any

import brotli
import orjson
import pytest
from sqlalchemy import event

from tests.support.client import Client
from tests.support.examples import album, albums, artist
from tests.support.loops import Closing
from tests.support.raw_http import quiet
from tests.support.servers import LaunchFreshet
from tests.support.settings import PUBLIC_URL, MakeSettings
from tests.support.standins import StartStandIn
from tests.support.waiting import until

START = Any


@pytest.fixture
def connect(start_freshet: START, start_standin: StartStandIn, closing: Closing) -> START:
    async def connect(items: list[Any] | None = None, **overrides: Any) -> Client:
        standin = start_standin(albums(5) if items is None else items)
        client = Client(await start_freshet(standin, **overrides))

        async def close() -> None:
            client.http.close()

        closing(close)
        return client

    return connect


@pytest.mark.gen_test
async def test_the_payload_has_every_field_of_the_contract(connect: START) -> None:
    client = await connect([album(1, artists=[artist(1), artist(2)])])
    response = await client.fetch("/api/artists/")
    assert response.code == 200
    page = orjson.loads(response.body)
    assert list(page) == [
        "items",
        "count",
        "total",
        "limit",
        "offset",
        "href",
        "next",
        "previous",
        "as_of",
        "source",
        "stale",
        "partial",
        "place",
    ]
    item = page["items"][0]
    assert list(item) == [
        "id",
        "spotify_id",
        "type",
        "name",
        "uri",
        "href",
        "external_urls",
        "images",
        "genres",
        "popularity",
        "followers",
        "created_at",
        "updated_at",
        "latest_album",
        "albums",
    ]
    assert list(item["latest_album"]) == [
        "id",
        "spotify_id",
        "type",
        "name",
        "uri",
        "href",
        "album_type",
        "kind",
        "total_tracks",
        "images",
        "external_urls",
        "release_date",
        "release_date_precision",
        "released_on",
        "created_at",
        "updated_at",
        "last_seen_at",
        "various_artists",
        "artists",
    ]
    assert page["source"] == "new-releases"
    assert [each["name"] for each in item["albums"][0]["artists"]] == ["Artist 1", "Artist 2"]


@pytest.mark.gen_test
async def test_both_spellings_of_the_route_answer_alike(connect: START) -> None:
    client = await connect()
    with_slash = await client.fetch("/api/artists/?limit=1")
    without = await client.fetch("/api/artists?limit=1")
    assert with_slash.body == without.body
    assert with_slash.headers["ETag"] == without.headers["ETag"]


@pytest.mark.gen_test
async def test_every_coding_has_its_own_etag_and_gives_304(connect: START) -> None:
    client = await connect()
    for coding in ("br", "gzip", "identity"):
        await has_its_own_etag(client, coding)


async def has_its_own_etag(client: Client, coding: str) -> None:
    response = await client.fetch("/api/artists/", Accept_Encoding=coding)
    decode: Any = {"br": brotli.decompress, "gzip": gzip.decompress, "identity": bytes}[coding]
    assert orjson.loads(decode(response.body))["total"] == 5
    assert response.headers.get("Content-Encoding", "identity") == coding
    again = await client.fetch(
        "/api/artists/", Accept_Encoding=coding, If_None_Match=response.headers["ETag"]
    )
    assert (again.code, again.body) == (304, b"")
    for name in ("ETag", "X-Last-Sync", "Cache-Control", "Vary"):
        assert again.headers[name] == response.headers[name]
    assert "Content-Encoding" not in again.headers
    other = await client.fetch(
        "/api/artists/", Accept_Encoding="deflate", If_None_Match='"other", W/"another"'
    )
    assert other.code == 200


@pytest.mark.gen_test
async def test_head_is_get_without_a_body(connect: START) -> None:
    client = await connect()
    got, head = [await client.fetch("/api/artists/", method) for method in ("GET", "HEAD")]
    assert head.body == b""
    for each in (got, head):
        each.headers.pop("Date")
    assert dict(head.headers) == dict(got.headers)


@pytest.mark.gen_test
async def test_options_tells_what_may_be_asked_from_any_origin(connect: START) -> None:
    client = await connect()
    response = await client.fetch("/api/artists/", "OPTIONS", Origin="https://example.org")
    assert (response.code, response.body) == (204, b"")
    assert response.headers["Allow"] == "GET, HEAD, OPTIONS"
    assert response.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.gen_test
async def test_other_methods_are_refused_with_what_is_allowed(connect: START) -> None:
    client = await connect()
    for method in ("POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"):
        response = await client.fetch("/api/artists/", method)
        assert response.code == 405, method
        assert response.headers["Content-Type"] == "application/problem+json"
        assert response.headers["Allow"] == "GET, HEAD, OPTIONS"


BAD_VALUES = [
    "release_limit=abc",
    "release_limit=-1",
    "release_limit=0",
    "release_limit=201",
    "release_limit=",
    "release_limit=''",
    "release_limit=5&release_limit=5",
    "release_limit=%zz",
    "release_limit=%00",
    "release_limit=%ff",
    "limit=501",
    "offset=-1",
    "type=tape",
    "exclude=live",
    "exclude=",
    "sort=up",
]


@pytest.mark.gen_test
async def test_a_bad_value_is_a_problem_that_names_it(connect: START) -> None:
    client = await connect()
    for query_string in BAD_VALUES:
        response = await client.fetch(f"/api/artists/?{query_string}")
        assert response.code == 400
        assert response.headers["Content-Type"] == "application/problem+json"
        problem = orjson.loads(response.body)
        assert problem["type"] == "/problems/invalid-parameter"
        assert problem["status"] == 400
        assert problem["instance"].startswith("urn:request:")
        assert problem["errors"][0]["parameter"] == query_string.partition("=")[0]
        assert problem["errors"][0]["reason"]


ODD_ADDRESSES = [
    ("/api/nothing", 404),
    ("/api/artists/%zz", 404),
    ("/api/artists/%00", 404),
    ("/api/artists/%ff", 404),
    ("/%2e%2e/%2e%2e/etc/passwd", 404),
    ("//evil", 404),
    ("/api/artists/?x=" + "y" * 100_000, 414),
    ("/" + "a" * 8_000, 404),
    ("/" + "a" * 60_000, 414),
]


@pytest.mark.gen_test
async def test_an_odd_address_is_a_problem_and_never_a_500(connect: START) -> None:
    client = await connect()
    for path, status in ODD_ADDRESSES:
        response = await client.fetch(path)
        assert response.code == status
        assert response.headers["Content-Type"] == "application/problem+json"
        assert orjson.loads(response.body)["status"] == status


NO_CLEAN_REQUESTS = [
    b"GET /api/artists/\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /api/artists/?limit=\x00 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    b"GET /api/artists/?limit=\xff HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    b"\x00\x00\x00\x00\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET /api/artists/ HTTP/1.1\r\n\r\n",
    b"GET /api/artists/ HTTP/1.1\r\nHost: x\r\nBroken header\r\n\r\n",
]


@pytest.mark.gen_test
async def test_bytes_that_are_no_clean_request_get_a_4xx(connect: START) -> None:
    client = await connect()
    for request_ in NO_CLEAN_REQUESTS:
        answer = await client.raw(request_)
        assert answer.startswith(b"HTTP/1.1 4"), answer[:80]


@pytest.mark.gen_test
async def test_a_target_in_absolute_form_is_the_same_target(connect: START) -> None:
    client = await connect()
    answer = await client.raw(
        b"GET http://example.org/api/artists/?limit=1 HTTP/1.1\r\n"
        b"Host: example.org\r\nConnection: close\r\n\r\n"
    )
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert orjson.loads(body)["href"] == f"{PUBLIC_URL}/api/artists/?limit=1"


@pytest.mark.gen_test
async def test_a_long_body_is_refused_and_not_kept(connect: START) -> None:
    client = await connect()
    answer = await client.raw(
        b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n" + b"x" * 1000
    )
    assert answer.startswith(b"HTTP/1.1 4")


@pytest.mark.gen_test
async def test_a_method_nobody_knows_on_an_address_nobody_knows_is_404(connect: START) -> None:
    client = await connect()
    assert (await client.fetch("/nowhere", "PROPFIND")).code == 404


@pytest.mark.gen_test
async def test_an_unknown_name_is_ignored_and_href_shows_what_was_understood(
    connect: START,
) -> None:
    client = await connect()
    response = await client.fetch("/api/artists/?colour=blue&colour=red&limit=2")
    assert response.code == 200
    assert orjson.loads(response.body)["href"] == f"{PUBLIC_URL}/api/artists/?limit=2"


@pytest.mark.gen_test
async def test_versions_and_various_artists_are_left_out_but_stay_in_the_database(
    connect: START,
) -> None:
    names = ["Tides", "Tides (Deluxe)", "Tides (Live)", "Tides [Explicit]"]
    various = artist(9, id="0LyfQWJT6nXafLPZqxe9Of", name="Various Artists")
    mixed = album(9, artists=[various], album_type="compilation")
    same = [album(n, name=name, artists=[artist(1)]) for n, name in enumerate(names)]
    client = await connect([mixed, *same])

    async def listed(query_string: str) -> tuple[str, list[list[str]]]:
        page = orjson.loads((await client.fetch(f"/api/artists/?{query_string}")).body)
        items = [[album["name"] for album in item["albums"]] for item in page["items"]]
        return page["href"].removeprefix(PUBLIC_URL), items

    assert await listed("") == ("/api/artists/", [["Album 9"], names])
    assert await listed("exclude=versions,various_artists") == (
        "/api/artists/?exclude=various_artists,versions",
        [["Tides", "Tides (Live)"]],
    )
    assert await listed("exclude=various_artists&release_limit=1") == (
        "/api/artists/?release_limit=1&exclude=various_artists",
        [["Tides"]],
    )


@pytest.mark.gen_test
async def test_before_any_sync_has_succeeded_the_answer_is_503_with_retry_after(
    make_settings: MakeSettings,
    start_standin: StartStandIn,
    launch_freshet: LaunchFreshet,
) -> None:
    freshet = launch_freshet(make_settings(start_standin([]), sync_interval=0))
    response = await Client(freshet).fetch("/api/artists/")
    assert response.code == 503
    assert int(response.headers["Retry-After"]) > 0
    assert orjson.loads(response.body)["type"] == "/problems/nothing-yet"


@pytest.mark.gen_test
async def test_a_sync_that_found_nothing_is_an_empty_list_and_not_an_error(
    connect: START,
) -> None:
    client = await connect([])
    response = await client.fetch("/api/artists/")
    assert (response.code, orjson.loads(response.body)["items"]) == (200, [])


@pytest.mark.gen_test
async def test_a_warm_request_touches_neither_the_database_nor_spotify(connect: START) -> None:
    client = await connect()
    await client.fetch("/api/artists/")
    await until(lambda: client.freshet.syncer.seconds_left() > 0)  # the first sync is over
    await quiet(client.freshet)
    statements: list[str] = []
    engine = client.freshet.database.engine
    event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    asked = client.freshet.syncer._sweepers["background"].client.calls
    for path in ("/api/artists/", "/api/artists/?limit=1", "/api/artists/?type=single&limit=1"):
        assert (await client.fetch(path)).code == 200
    assert statements == []
    assert client.freshet.syncer._sweepers["background"].client.calls == asked


@pytest.mark.gen_test
async def test_the_cache_follows_a_sync(start_freshet: START, start_standin: StartStandIn) -> None:
    standin = start_standin(albums(3))
    client = Client(await start_freshet(standin))
    before = await client.fetch("/api/artists/")
    standin.catalogue.albums.insert(0, album(77, name="Fresh", release_date="2026-11-22"))
    assert (await client.freshet.syncer.sync()).added == 1
    after = await client.fetch("/api/artists/")
    assert orjson.loads(after.body)["items"][0]["latest_album"]["name"] == "Fresh"
    assert after.headers["ETag"] != before.headers["ETag"]
    client.http.close()


@pytest.mark.gen_test
async def test_a_sync_of_another_process_is_served_at_once(
    start_freshet: START,
    start_standin: StartStandIn,
    make_settings: MakeSettings,
) -> None:
    standin = start_standin(albums(3))
    first = await start_freshet(standin, sync_interval=3600)
    second = await start_freshet(standin, sync_interval=3600)
    standin.catalogue.albums.insert(0, album(77, release_date="2026-11-22"))
    await asyncio.sleep(0.1)
    await second.syncer.sync()
    client = Client(first)
    async with asyncio.timeout(30):
        while orjson.loads((await client.fetch("/api/artists/")).body)["total"] != 4:
            await asyncio.sleep(0.01)
    client.http.close()


@pytest.mark.gen_test
async def test_reads_go_on_when_spotify_and_the_database_are_gone(
    start_freshet: START, start_standin: StartStandIn
) -> None:
    standin = start_standin(albums(3))
    freshet = await start_freshet(standin, cache_ttl=1)
    client = Client(freshet)
    freshet.database._replace_engine(freshet.database.engine.url.set(database="nowhere"))
    await standin.stop()
    assert (await freshet.syncer.sync()).outcome == "failed"
    await asyncio.sleep(1.1)
    for path in ("/api/artists/", "/api/artists/?limit=1"):
        response = await client.fetch(path)
        assert (response.code, orjson.loads(response.body)["total"]) == (200, 3)
    ready = await client.fetch("/readyz")
    assert ready.code == 503
    assert (await client.fetch("/healthz")).code == 200
    client.http.close()


@pytest.mark.gen_test
async def test_ready_says_why_it_is_not(
    make_settings: MakeSettings,
    start_standin: StartStandIn,
    launch_freshet: LaunchFreshet,
) -> None:
    freshet = launch_freshet(make_settings(start_standin([]), sync_interval=0))
    client = Client(freshet)
    response = await client.fetch("/readyz")
    assert response.code == 503
    assert "no sync has succeeded yet" in orjson.loads(response.body)["reasons"]
    await freshet.syncer.sync()
    async with asyncio.timeout(30):
        while (await client.fetch("/readyz")).code != 200:
            await asyncio.sleep(0.05)
    client.http.close()
