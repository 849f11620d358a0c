"""deploy/nginx.conf in a real nginx, in front of real servers."""

import asyncio
import io
import os
import re
from pathlib import Path

import brotli
import orjson
import pytest

from server.observability.log import configure
from tests.support.examples import albums, spotify_id
from tests.support.paths import ROOT
from tests.support.proxies import LIST, Start
from tests.support.servers import StartFreshet
from tests.support.standins import StartStandIn
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("logging_as_it_was")


@pytest.mark.gen_test
async def test_the_third_answer_is_nginx_own_and_the_same_to_the_byte(
    start_standin: StartStandIn, start_freshet: StartFreshet, start_nginx: Start
) -> None:
    freshet = await start_freshet(start_standin())
    nginx = await start_nginx(freshet)
    first, second = await nginx.keep(LIST), await nginx.get(LIST)
    assert (second.code, second.headers["X-Cache"]) == (200, "HIT")
    assert first.body == second.body
    assert orjson.loads(first.body)["total"] > 0
    for name in ("ETag", "Last-Modified", "Cache-Control", "Vary", "Link", "X-Last-Sync"):
        assert second.headers[name] == first.headers[name]
    again = await nginx.get(LIST, If_None_Match=first.headers["ETag"])
    assert (again.code, again.body, again.headers["X-Cache"]) == (304, b"", "HIT")
    head = await nginx.get(LIST, "HEAD")
    assert (head.code, head.body, head.headers["X-Cache"]) == (200, b"", "HIT")
    assert head.headers["ETag"] == first.headers["ETag"]


@pytest.mark.gen_test
async def test_behind_a_path_that_nginx_takes_away_links_have_it(
    start_standin: StartStandIn, start_freshet: StartFreshet, start_nginx: Start
) -> None:
    guide = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"`(rewrite .*?;)`", guide)
    root = "https://example.org/music"
    freshet = await start_freshet(start_standin(albums(5)), public_url=root)
    nginx = await start_nginx(freshet, more=line)
    first = await nginx.keep(f"/music{LIST}?limit=2")
    following = orjson.loads(first.body)["next"]
    assert following.startswith(f"{root}/api/")
    assert f'<{following}>; rel="next"' in first.headers["Link"]
    second = await nginx.get(following.removeprefix("https://example.org"))
    assert second.code == 200
    pages = [orjson.loads(page.body)["items"] for page in (first, second)]
    names = [[each["name"] for each in items] for items in pages]
    assert [len(page) for page in names] == [2, 2]
    assert not set(names[0]) & set(names[1])
    again = await nginx.get(f"/music{LIST}?limit=2")
    assert (again.headers["X-Cache"], again.body) == ("HIT", first.body)


@pytest.mark.gen_test
async def test_each_coding_is_kept_once_however_clients_word_it(
    start_standin: StartStandIn, start_freshet: StartFreshet, start_nginx: Start
) -> None:
    nginx = await start_nginx(await start_freshet(start_standin()))
    etags: dict[str | None, str] = {}
    for wish, coding, state in (
        ("gzip, deflate, br, zstd", "br", "MISS"),
        ("br;q=1.0, gzip;q=0.8, *;q=0.1", "br", "HIT"),
        ("gzip", "gzip", "MISS"),
        ("deflate, gzip;q=0.5, br;q=0", "gzip", "HIT"),
        ("identity", None, "MISS"),
        ("br;q=0, gzip;q=0.000", None, "HIT"),
        ("bromide, notgzip", None, "HIT"),
    ):
        if state == "MISS":
            await nginx.get(LIST, Accept_Encoding=wish)  # what is asked for once is not kept
        answer = await nginx.get(LIST, Accept_Encoding=wish)
        assert answer.headers.get("Content-Encoding") == coding, wish
        assert answer.headers["X-Cache"] == state, wish
        assert answer.headers["Vary"] == "Accept-Encoding"
        etags.setdefault(coding, answer.headers["ETag"])
        assert etags[coding] == answer.headers["ETag"]
        if coding == "br":
            assert orjson.loads(brotli.decompress(answer.body))["total"] > 0
    assert len(set(etags.values())) == 3


@pytest.mark.slow
@pytest.mark.gen_test
async def test_an_old_answer_stands_in_while_a_new_one_comes_and_when_there_is_none(
    start_standin: StartStandIn, start_freshet: StartFreshet, start_nginx: Start
) -> None:
    freshet = await start_freshet(start_standin(albums(3)), cache_max_age=1)
    nginx = await start_nginx(freshet)
    await nginx.keep(LIST)
    await asyncio.sleep(2.1)
    assert (await nginx.get(LIST)).headers["X-Cache"] == "STALE", "and asks anew behind it"
    async with asyncio.timeout(30):
        while (await nginx.get(LIST)).headers["X-Cache"] != "HIT":
            await asyncio.sleep(0.05)
    await freshet.stop()
    await asyncio.sleep(2.1)
    down = await nginx.get(LIST)
    assert (down.code, down.headers["X-Cache"]) == (200, "STALE")
    assert (await nginx.get("/api/artists/?limit=1")).code == 502


@pytest.mark.gen_test
async def test_of_many_who_ask_at_once_two_ask_freshet(
    start_standin: StartStandIn, start_freshet: StartFreshet, start_nginx: Start
) -> None:
    freshet = await start_freshet(start_standin())
    nginx = await start_nginx(freshet)
    answers = await asyncio.gather(*(nginx.get("/api/albums/?limit=3") for _ in range(10)))
    states = sorted(answer.headers["X-Cache"] for answer in answers)
    assert states == ["HIT"] * 8 + ["MISS"] * 2


@pytest.mark.parametrize("path", [LIST, "/healthz"])
@pytest.mark.gen_test
async def test_connections_to_freshet_are_kept_and_it_learns_who_asks(
    start_standin: StartStandIn, start_freshet: StartFreshet, start_nginx: Start, path: str
) -> None:
    freshet = await start_freshet(start_standin(), access_log="all", trusted_proxies="127.0.0.1")
    nginx = await start_nginx(freshet)
    configure("json", "info", stream := io.StringIO())
    forged = {"X_Forwarded_For": "192.0.2.1", "X_Real_Ip": "192.0.2.2"}
    for number in range(8):
        answer = await nginx.get(f"{path}?limit={1 + number}", **forged)
        assert answer.code == 200
    lane = freshet.web_server.lane
    assert lane is not None
    await until(lambda: 1 <= len(lane.connections) <= (os.cpu_count() or 1))
    lines = [orjson.loads(line) for line in stream.getvalue().splitlines()]
    # The test is nginx's client, at the address of a proxy: what it says of its own is believed.
    told = [line["client"] for line in lines if line["event"] == "http_request"]
    assert told == ["192.0.2.1"] * 8


@pytest.mark.gen_test
async def test_what_is_not_for_caches_is_not_kept(
    start_standin: StartStandIn, start_freshet: StartFreshet, start_nginx: Start
) -> None:
    nginx = await start_nginx(await start_freshet(start_standin(), trusted_proxies="127.0.0.1"))
    for path in ("/api/status", "/", "/healthz", "/api/changes/", "/metrics"):
        answer = await nginx.get(path)
        assert (answer.code, "X-Cache" in answer.headers) == (200, False), path
    for _ in range(2):
        refused = await nginx.get("/api/artists/?limit=x")
        assert (refused.code, refused.headers["X-Cache"]) == (400, "MISS")
    posted = await nginx.get("/api/sync/", "POST")
    assert posted.code == 401


@pytest.mark.gen_test
async def test_nothing_private_is_kept_and_each_key_gets_its_own(
    start_standin: StartStandIn, start_freshet: StartFreshet, start_nginx: Start, tmp_path: Path
) -> None:
    freshet = await start_freshet(start_standin(albums(6)))
    nginx = await start_nginx(freshet)
    server = (await freshet.keys.create(None, "test", ["read", "manage"])).key
    with_key = {"Authorization": f"Bearer {server}", "Accept_Encoding": "identity"}
    watched = f"/api/my/watched/{spotify_id('artist', 3)}/"
    assert (await nginx.get(watched, "PUT", **with_key)).code == 204
    paths = ["/api/my/albums/", "/api/my/artists/", "/api/my/following/", "/api/my/albums/?limit=5"]
    paths += [
        f"/feeds/my/albums.{ending}?key={server}" for ending in ("atom", "json", "ics", "csv")
    ]
    for path in paths:
        for _ in range(3):
            answer = await nginx.get(path, **with_key)
            assert answer.code == 200, path
            assert answer.headers["Cache-Control"] == "private, no-store", path
            assert "X-Cache" not in answer.headers, path
        stranger = await nginx.get(path.partition("?")[0], Accept_Encoding="identity")
        assert stranger.code == 401, path
    for odd in ("//api//my/albums/", "/api/artists/../my/albums/", "/api/%6dy/albums/"):
        for _ in range(3):
            assert "X-Cache" not in (await nginx.get(odd, **with_key)).headers, odd
    assert (await nginx.get(watched, "DELETE", **with_key)).code == 204
    emptied = await nginx.get("/api/my/albums/", **with_key)
    assert orjson.loads(emptied.body)["total"] == 0
    await nginx.keep(LIST)
    kept = [each.read_bytes() for each in (tmp_path / "cache").rglob("*") if each.is_file()]
    assert len(kept) == 1, "the public list, which shows that this is where answers are kept"
    assert b"/my/" not in kept[0]


@pytest.mark.gen_test
async def test_a_long_list_of_artists_is_passed_on(
    start_standin: StartStandIn, start_freshet: StartFreshet, start_nginx: Start
) -> None:
    freshet = await start_freshet(start_standin(albums(1)))
    nginx = await start_nginx(freshet)
    key = (await freshet.keys.create(None, "test", ["manage"])).key
    text = "\n".join(spotify_id("artist", number) for number in range(8000))
    assert len(text) > 150_000
    answer = await nginx.get(
        "/api/my/import/", "POST", text, Authorization=f"Bearer {key}", Content_Type="text/plain"
    )
    assert orjson.loads(answer.body)["newly_watched"] == 8000


@pytest.mark.gen_test
async def test_events_are_passed_on_as_they_come(
    start_standin: StartStandIn, start_freshet: StartFreshet, start_nginx: Start
) -> None:
    nginx = await start_nginx(await start_freshet(start_standin()))
    reader, writer = await nginx.stream()
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
    assert b"Content-Type: text/event-stream" in head
    assert b"retry: 5000" in await asyncio.wait_for(reader.readuntil(b"\n\n"), 30)
    writer.close()


@pytest.mark.slow
@pytest.mark.gen_test
async def test_open_streams_of_events_do_not_keep_nginx_from_ending(
    start_standin: StartStandIn, start_freshet: StartFreshet, start_nginx: Start
) -> None:
    nginx = await start_nginx(await start_freshet(start_standin()))
    reader, writer = await nginx.stream()
    await asyncio.wait_for(reader.readuntil(b"\n\n"), 30)
    assert await nginx.quit() == 0, "before Docker kills it, which is after 10 s"
    await asyncio.wait_for(reader.read(), 30)
    writer.close()


@pytest.mark.slow
@pytest.mark.gen_test
async def test_hosts_may_be_replaced_one_soon_after_the_other(
    start_standin: StartStandIn, start_freshet: StartFreshet, start_nginx: Start
) -> None:
    standin = start_standin()
    first, second = await start_freshet(standin), await start_freshet(standin)
    nginx = await start_nginx(first, second)
    port = first.port
    await first.stop()
    answers = [await nginx.get(f"/status?n={n}") for n in range(4)]
    assert {answer.code for answer in answers} == {200}, "and nginx knows that one is down"
    await start_freshet(standin, port=port)
    await asyncio.sleep(3.1)  # nginx counts in whole seconds
    await second.stop()
    answers = [await nginx.get(f"/status?n={n}") for n in range(4)]
    assert {answer.code for answer in answers} == {200}


@pytest.mark.gen_test
async def test_a_host_that_is_down_is_passed_over(
    start_standin: StartStandIn, start_freshet: StartFreshet, start_nginx: Start
) -> None:
    standin = start_standin()
    standin.misbehave("forbidden", path="/v1/artists", times=None)  # or details come meanwhile
    first, second = await start_freshet(standin), await start_freshet(standin)
    nginx = await start_nginx(first, second)
    path = "/api/artists/?limit=2&%6e="  # with such a name it is not kept
    bodies = {(await nginx.get(f"{path}{n}")).body for n in range(6)}
    assert len(bodies) == 1, "hosts answer alike, to the byte"
    await first.stop()
    for number in range(6, 12):
        answer = await nginx.get(f"{path}{number}")
        assert (answer.code, answer.headers["X-Cache"]) == (200, "BYPASS")
        assert answer.body in bodies
