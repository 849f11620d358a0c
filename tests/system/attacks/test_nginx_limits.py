"""deploy/nginx.conf against one client that wants everything: a real nginx, others beside it."""

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import orjson
import pytest

from server.app.application import Application
from server.catalog.query import ALL, KINDS, ArtistsQuery
from tests.support.examples import albums, spotify_id
from tests.support.loops import Closing
from tests.support.proxies import CONFIG, LIST, QUERIES, Nginx, Start
from tests.support.servers import StartFreshet
from tests.support.standins import StartStandIn

TEXT = CONFIG.read_text(encoding="utf-8")
STREAMS = int(re.findall(r"limit_conn streams (\d+);", TEXT)[0])
BURST = int(re.findall(r"limit_req zone=rate burst=(\d+) ", TEXT)[0])
BEHIND_ANOTHER = "set_real_ip_from 127.0.0.1;"
ATTACKER, OTHER = "127.0.0.8", "127.0.0.9"


class Wire:
    """A connection to a server from an address of one's choice."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def ask(self, path: str, *fields: str) -> tuple[int, str, bytes]:
        """Status, head and body; of a stream of events its first one is the body."""
        lines = [f"GET {path} HTTP/1.1", "Host: test", *fields, "", ""]
        self._writer.write("\r\n".join(lines).encode())
        head = (await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), 30)).decode()
        length = re.search(r"\r\nContent-Length: (\d+)", head)
        if length is not None:
            body = await self._reader.readexactly(int(length[1]))
        else:
            body = await asyncio.wait_for(self._reader.readuntil(b"\n\n"), 30)
        return int(head.split()[1]), head, body


OpenWire = Callable[..., Awaitable[Wire]]


@pytest.fixture
def open_wire(closing: Closing) -> OpenWire:
    """Open connections that are closed after the test, also if it fails."""

    async def go(to: Nginx | Application, address: str = OTHER) -> Wire:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", to.port, local_addr=(address, 0)
        )

        async def close() -> None:
            writer.close()

        closing(close)
        return Wire(reader, writer)

    return go


@pytest.fixture
def start_both(
    start_standin: StartStandIn, start_freshet: StartFreshet, start_nginx: Start
) -> Start:
    """Start nginx in front of a server that believes what it says of clients."""

    async def go(**options: str) -> Nginx:
        freshet = await start_freshet(start_standin(albums(5)), trusted_proxies="127.0.0.1")
        return await start_nginx(freshet, **options)

    return go


def size(folder: Path) -> int:
    """How many bytes lie there."""
    return sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())


def names(pattern: str) -> Sequence[str]:
    found: list[str] = re.findall(pattern, TEXT, re.MULTILINE)
    return found


def test_all_parameters_of_lists_and_feeds_are_in_the_key_and_no_others() -> None:
    everywhere = names(r'^ +map \$args \$p\d+ \{ "~\(\^\|&\)(\w+)=')
    of_artists = names(r'^ +map \$uri\?\$args \$p\d+ \{ "~\^/api/artists/\?.*?(\w+)=\(')
    for kind in ALL:
        expected = [*everywhere, *(of_artists if kind is ArtistsQuery else [])]
        assert set(expected) == set(kind.model_fields), "add it as the others to deploy/nginx.conf"
    (twice,) = names(r"\(\?<name>([a-z_|]+)\)")
    assert sorted(twice.split("|")) == sorted([*everywhere, *of_artists])
    (joined,) = names(r"map \$uri\?((?:\$p\d+)+) \$known")
    assert joined == "".join(f"${name}" for name in names(r"^ +map \S+ \$(p\d+) "))


async def kept(nginx: Nginx, *paths: str) -> bytes:
    """Let all but the first of these be answered from the copy of the first; the answer."""
    body = (await nginx.keep(paths[0])).body
    for path in paths:
        answer = await nginx.get(path)
        assert (answer.code, answer.headers["X-Cache"]) == (200, "HIT"), path
        assert answer.body == body, path
    return body


@pytest.mark.gen_test
async def test_what_freshet_ignores_makes_no_copy_of_its_own(start_both: Start) -> None:
    nginx = await start_both()
    await kept(nginx, LIST, f"{LIST}?junk=1", f"{LIST}?junk=2&x", f"{LIST}?&&", f"{LIST}?LIMIT=1")
    two = await kept(
        nginx,
        f"{LIST}?limit=2&offset=1",
        f"{LIST}?offset=1&limit=2",
        f"{LIST}?a=limit=3&limit=2&xlimit=4&offset=1&offset.=7#fragment",
        f"{LIST}?{'a' * 7000}&limit=2&offset=1",
    )
    body = orjson.loads(two)
    assert (body["limit"], body["offset"], body["count"]) == (2, 1, 2)
    await kept(nginx, "/api/albums/", "/api/albums/?fields=id", "/api/albums/?fields=name")
    await kept(nginx, f"{LIST}?fields=id", f"{LIST}?x=y&fields=id")
    one = f"/api/albums/{spotify_id('album', 1)}"
    await kept(nginx, one, f"{one}?limit=1", f"{one}?fields=id")
    await kept(nginx, *(f"/feeds/albums.atom?q=%2B%26&x={each}" for each in range(3)))


@pytest.mark.gen_test
async def test_no_query_gets_another_answer_than_without_nginx(
    start_standin: StartStandIn,
    start_freshet: StartFreshet,
    start_nginx: Start,
    open_wire: OpenWire,
) -> None:
    """Each asked for until it is kept, if it is, with what could be mixed up with it before."""
    freshet = await start_freshet(start_standin(albums(5)), trusted_proxies="127.0.0.1")
    front, direct = await start_nginx(freshet), await open_wire(freshet)
    for number, path in enumerate((*KINDS, f"/api/artists/{spotify_id('artist', 1)}/")):
        nginx = await open_wire(front, f"127.0.1.{number}")  # for the rate
        for asked in (f"{path}?{query}" for query in QUERIES):
            expected, _, body = await direct.ask(asked)
            for _ in range(3):
                status, _, got = await nginx.ask(asked)
                assert (status, without_ids(got)) == (expected, without_ids(body)), asked


def without_ids(body: bytes) -> bytes:
    return re.sub(rb"urn:(request|uuid):[^\"<]+", b"", body)


@pytest.mark.gen_test
async def test_thousands_of_made_up_queries_fill_no_cache(
    start_standin: StartStandIn,
    start_freshet: StartFreshet,
    start_nginx: Start,
    open_wire: OpenWire,
    tmp_path: Path,
    long: bool,
) -> None:
    freshet = await start_freshet(start_standin(albums(50)))
    nginx = await start_nginx(freshet, more=BEHIND_ANOTHER)  # for the test is many clients
    many = 9000 if long else 150

    async def attack(number: int) -> None:
        wire = await open_wire(nginx, "127.0.0.1")
        for junk in range(number, many, 10):
            client = f"X-Forwarded-For: 192.0.2.{junk % 200}"
            for query in (f"junk={junk}", f"%6aunk={junk}", f"q={junk:09}x"):
                status, _, _ = await wire.ask(f"/api/albums/?{query}", client)
                assert status == 200

    await asyncio.gather(*map(attack, range(10)))
    lies = size(tmp_path / "cache")
    print(f"\n{many} × junk, escaped junk and searches: {lies / 1e6:.1f} MB in the cache")
    assert 0 < lies < 100_000
    assert (await nginx.get("/api/albums/")).headers["X-Cache"] == "HIT"


async def statuses(wires: Sequence[Wire], path: str, *fields: str) -> Counter[int]:
    answers = await asyncio.gather(*(wire.ask(path, *fields) for wire in wires))
    return Counter(status for status, _, _ in answers)


@pytest.mark.gen_test(timeout=180)
async def test_streams_of_one_client_are_bounded_and_others_are_served(
    start_both: Start, open_wire: OpenWire, long: bool
) -> None:
    nginx = await start_both()
    many, got = 4300 if long else STREAMS + 150, Counter[int]()
    wires = []
    for start, end in pairwise([*range(0, many, 50), many]):  # no more at a time, for the rate
        some = [await open_wire(nginx, ATTACKER) for _ in range(start, end)]
        got += await statuses(some, "/api/events")
        wires += some
        await asyncio.sleep(0.5 if long else 0)
    assert got == {200: STREAMS, 429: many - STREAMS}
    other = await open_wire(nginx)
    seconds = []
    for _ in range(20):
        began = asyncio.get_running_loop().time()
        assert (await other.ask(LIST))[0] == 200
        seconds.append(asyncio.get_running_loop().time() - began)
    assert (await other.ask("/api/events"))[0] == 200
    mine = await open_wire(nginx, ATTACKER)
    assert (await mine.ask(LIST))[0] == 200, "streams are counted apart"
    print(f"\n{many} streams of one client: {got}; others' lists in {1000 * max(seconds):.1f} ms")


@pytest.mark.gen_test
async def test_who_asks_too_often_gets_a_problem_and_others_answers(
    start_both: Start, open_wire: OpenWire
) -> None:
    nginx = await start_both(rate="1r/s")  # a slow machine could not ask more often
    wires = [await open_wire(nginx, ATTACKER) for _ in range(20)]
    got = Counter[int]()
    refused = None
    while refused is None:
        for answer in await asyncio.gather(*(wire.ask("/healthz") for wire in wires)):
            got[answer[0]] += 1
            if answer[0] == 429:
                refused = answer
    _, head, body = refused
    assert got[200] >= BURST
    assert "Content-Type: application/problem+json\r\n" in head
    assert "Retry-After: 1\r\n" in head
    assert 'RateLimit-Policy: "rate";q=500;w=5, "requests";q=200;' in head
    assert "Access-Control-Allow-Origin: *\r\n" in head
    assert orjson.loads(body)["status"] == 429
    other = await open_wire(nginx)
    assert (await other.ask("/healthz"))[0] == 200


@pytest.mark.gen_test
async def test_clients_are_counted_by_network_where_one_has_many_addresses(
    start_both: Start,
    open_wire: OpenWire,
) -> None:
    nginx = await start_both(more=BEHIND_ANOTHER)
    wires: list[Wire] = []

    async def streams(addresses: list[str]) -> Counter[int]:
        some = [await open_wire(nginx, "127.0.0.1") for _ in addresses]
        wires.extend(some)
        asked = (
            wire.ask("/api/events", f"X-Forwarded-For: 203.0.113.1, {address}")
            for wire, address in zip(some, addresses, strict=True)
        )
        return Counter(status for status, _, _ in await asyncio.gather(*asked))

    home = [f"2001:db8:0:1:{number:x}::1" for number in range(STREAMS + 5)]
    assert await streams(home) == {200: STREAMS, 429: 5}
    assert await streams(["2001:db8:0:2::1", "::ffff:192.0.2.1", "192.0.2.2"]) == {200: 3}
    mapped = [f"::ffff:198.51.100.{number}" for number in range(STREAMS + 5)]
    assert await streams(mapped) == {200: STREAMS + 5}, "these are addresses of IPv4"


@pytest.mark.gen_test
async def test_a_client_that_is_no_proxy_cannot_choose_for_whom_it_counts(
    start_both: Start,
    open_wire: OpenWire,
) -> None:
    nginx = await start_both(more=BEHIND_ANOTHER)
    wires = [await open_wire(nginx, ATTACKER) for _ in range(STREAMS + 5)]
    answers = await asyncio.gather(
        *(wire.ask("/api/events", f"X-Forwarded-For: 192.0.2.{n}") for n, wire in enumerate(wires))
    )
    assert Counter(status for status, _, _ in answers) == {200: STREAMS, 429: 5}


@pytest.mark.gen_test
async def test_heads_are_as_long_as_freshet_takes_them_and_no_longer(
    start_both: Start, open_wire: OpenWire
) -> None:
    nginx = await start_both()
    for fields, expected in (
        ([f"Cookie: a={'x' * 7000}"], 200),
        ([f"Cookie: a={'x' * 9000}"], 400),
        ([f"X-{number}: {'x' * 4000}" for number in range(6)], 400),
    ):
        wire = await open_wire(nginx)
        assert (await wire.ask(LIST, *fields))[0] == expected


@pytest.mark.slow
@pytest.mark.gen_test
async def test_who_sends_or_reads_too_slowly_is_closed(
    start_standin: StartStandIn, start_freshet: StartFreshet, start_nginx: Start
) -> None:
    freshet = await start_freshet(start_standin(albums(300)))
    nginx = await start_nginx(freshet, patience="1s")
    everything = b"GET /api/albums/?release_limit=200 HTTP/1.1\r\nHost: test\r\n\r\n"

    async def dawdle(sent: bytes) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", nginx.port, limit=4096)
        writer.write(sent)
        await asyncio.sleep(3.5)
        with suppress(ConnectionError):
            async with asyncio.timeout(30):
                while await reader.read(1 << 20):
                    pass
        writer.close()

    await asyncio.gather(
        dawdle(b"GET /api/artists/ HTTP/1.1\r\nHost: te"),
        dawdle(b"POST /api/sync/ HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\nhalf"),
        dawdle(100 * everything),
    )
