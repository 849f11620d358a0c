"""The releases of an owner's artists: which they are, and that nobody else learns of them."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from tornado.httpclient import HTTPResponse
from tornado.platform.asyncio import AsyncIOLoop

from models import Login
from server.app.application import Application
from server.following import list_store
from server.following.choices import MOST_IMPORTS
from server.following.my_releases import MAX_CONCURRENT, MOST_OWNERS
from server.storage import following
from server.storage.following import MOST_CHOSEN
from tests.support.catalog_server import Stage
from tests.support.clock import Clock
from tests.support.databases import NewDatabase
from tests.support.description import openapi
from tests.support.examples import album, albums, artist, spotify_id
from tests.support.loops import shared_io_loop
from tests.support.settings import PUBLIC_URL, settings_for
from tests.support.waiting import until

NOW = datetime(2026, 11, 20, 5, 0, 12, tzinfo=UTC)
ARTISTS = [spotify_id("artist", number) for number in range(12)]
OWNERS = [f"owner-{number}" for number in range(20)]
MY_ALBUMS, MY_ARTISTS, MY_ATOM = "/api/my/albums/", "/api/my/artists/", "/feeds/my/albums.atom"
WATCHED = f"/api/my/watched/{ARTISTS[5]}"
PATHS = [path for path in openapi()["paths"] if "/my/" in path]
PRIVATE = "private, no-store"


@pytest.fixture(scope="module")
def io_loop() -> Iterator[AsyncIOLoop]:
    """One loop for all tests of this module, which share a server."""
    with shared_io_loop() as loop:
        yield loop


@pytest.fixture(scope="module")
def stage(io_loop: AsyncIOLoop, new_database: NewDatabase, migrated: str) -> Iterator[Stage]:
    """A server with 14 releases of 12 artists; each test has owners of its own."""
    with new_database(migrated) as url:
        freshet = Application(settings_for(url, sync_interval=0), Clock(NOW))
        made = Stage(freshet)

        def log_in(session: Any) -> None:
            for name in OWNERS:
                session.add(Login(account_id=name, scopes=[], state="active", authorized_at=NOW))

        async def begin() -> None:
            freshet.start()
            await until(lambda: freshet.timers.are_running)
            together = album(12, artists=[artist(1), artist(9)], album_type="single")
            coming = album(13, artists=[artist(2)], release_date="2026-12-04")
            await made.take([*albums(12), together, coming], NOW)
            await freshet.database.run(log_in)

        io_loop.asyncio_loop.run_until_complete(begin())
        yield made
        io_loop.asyncio_loop.run_until_complete(freshet.stop())
        made.client.http.close()


class Owner:
    """An account with a key, and what it is answered."""

    def __init__(self, stage: Stage, name: str | None) -> None:
        self.stage, self.name, self.key = stage, name, ""

    async def follow(self, *numbers: int) -> None:
        assert self.name is not None
        names = [(ARTISTS[number], f"Artist {number}") for number in numbers]
        await self.stage.freshet.database.run(
            list_store.record_followed, self.name, names, NOW, "another process"
        )
        self.stage.freshet.own.my_releases.forget()

    async def fetch(self, path: str, method: str = "GET", **headers: str) -> HTTPResponse:
        return await self.stage.client.fetch(
            path, method, **{"Authorization": f"Bearer {self.key}", **headers}
        )

    async def get(self, path: str) -> Any:
        answer = await self.fetch(path)
        assert answer.code == 200, answer.body
        assert answer.headers["Cache-Control"] == PRIVATE
        return orjson.loads(answer.body)

    async def names(self, path: str = MY_ALBUMS) -> set[str]:
        return {item["name"] for item in (await self.get(path))["items"]}


async def owner(
    stage: Stage, number: int | None, scopes: Sequence[Any] = ("read", "manage")
) -> Owner:
    made = Owner(stage, None if number is None else OWNERS[number])
    made.key = (await stage.freshet.keys.create(made.name, "test", list(scopes))).key
    return made


def told(answer: HTTPResponse) -> tuple[Any, ...]:
    """Everything of an answer but what differs each time."""
    body = orjson.loads(answer.body) if answer.body else {}
    body.pop("instance", None)
    headers = sorted(each for each in answer.headers.get_all() if each[0] != "Date")
    return answer.code, headers, body


@pytest.mark.parametrize("method", ["GET", "PUT"])  # others: test_private_addresses.py
@pytest.mark.gen_test
async def test_strangers_get_the_same_401_for_everything(stage: Stage, method: str) -> None:
    guesses: list[dict[str, str]] = [
        {},
        {"Authorization": "Bearer fr_" + "x" * 43},
        {"Authorization": "Bearer short"},
        {"Cookie": "freshet_session=" + "x" * 43},
        {"Origin": PUBLIC_URL, "Cookie": "freshet_session=x"},
    ]
    addresses = [path.replace("{id}", ARTISTS[0]) for path in PATHS]
    addresses += ["/api/my", "/api/my/nothing/", "/feeds/my/x", f"{MY_ALBUMS}?limit=x"]
    addresses += ["/api/my/watched/short/", f"{MY_ATOM}?key=fr_{'x' * 43}"]
    answers = [
        told(await stage.client.fetch(path, method, **headers))
        for path in addresses
        for headers in guesses
    ]
    assert len(addresses) > 12
    assert all(each == answers[0] for each in answers)
    code, headers, body = answers[0]
    assert (code, body["type"]) == (401, "/problems/login-required")
    assert ("Cache-Control", PRIVATE) in headers
    assert [name for name, _ in headers].count("Www-Authenticate") == 2


@pytest.mark.gen_test
async def test_an_owner_gets_the_releases_of_whom_it_follows_or_watches_and_does_not_ignore(
    stage: Stage,
) -> None:
    mine = await owner(stage, 0)
    assert await mine.names() == set()
    await mine.follow(1, 2)
    assert await mine.names() == {"Album 1", "Album 2", "Album 12"}
    assert (await mine.fetch(WATCHED, "PUT")).code == 204
    assert await mine.names() == {"Album 1", "Album 2", "Album 12", "Album 5"}
    assert (await mine.fetch(f"/api/my/ignored/{ARTISTS[1]}", "PUT")).code == 204
    assert await mine.names() == {"Album 2", "Album 5"}
    for _ in range(2):
        assert (await mine.fetch(f"/api/my/ignored/{ARTISTS[1]}/", "DELETE")).code == 204
        assert (await mine.fetch(WATCHED, "DELETE")).code == 204
    assert await mine.names() == {"Album 1", "Album 2", "Album 12"}


@pytest.mark.gen_test
async def test_lists_of_artists_name_the_owners_own_only(stage: Stage) -> None:
    mine = await owner(stage, 1)
    await mine.follow(1)
    page = await mine.get(MY_ARTISTS)
    assert [each["name"] for each in page["items"]] == ["Artist 1"]
    (together,) = [each for each in page["items"][0]["albums"] if each["name"] == "Album 12"]
    assert [each["name"] for each in together["artists"]] == ["Artist 1", "Artist 9"]


@pytest.mark.gen_test
async def test_owners_see_nothing_of_each_other_and_the_servers_key_sees_everybodys(
    stage: Stage,
) -> None:
    one, other, server = await owner(stage, 2), await owner(stage, 3), await owner(stage, None)
    await one.follow(6)
    await other.follow(7)
    assert (await one.names(), await other.names()) == ({"Album 6"}, {"Album 7"})
    assert await server.names() >= {"Album 6", "Album 7"}
    assert (await server.fetch(f"/api/my/watched/{ARTISTS[10]}", "PUT")).code == 204
    assert await one.names() == {"Album 6", "Album 10"}, "what the server watches is for everybody"
    assert (await one.fetch(f"/api/my/watched/{ARTISTS[10]}", "DELETE")).code == 204
    assert await one.names() == {"Album 6", "Album 10"}, "that was not its own choice"
    assert (await server.fetch(f"/api/my/watched/{ARTISTS[10]}", "DELETE")).code == 204


@pytest.mark.gen_test
async def test_what_another_process_changes_is_seen_at_once(stage: Stage) -> None:
    mine = await owner(stage, 4)
    assert await mine.names() == set()
    database = stage.freshet.database
    names = {ARTISTS[8]: None}
    await database.run(following.choose, mine.name, names, "watched", NOW, "another process")
    async with asyncio.timeout(30):
        while await mine.names() != {"Album 8"}:
            await asyncio.sleep(0.02)


@pytest.mark.gen_test
async def test_the_filters_are_those_of_the_public_lists(stage: Stage) -> None:
    mine = await owner(stage, 5)
    await mine.follow(1, 2, 3)
    assert await mine.names(f"{MY_ALBUMS}?type=single") == {"Album 12"}
    assert await mine.names(f"{MY_ALBUMS}?q=album+3") == {"Album 3"}
    assert await mine.names(f"{MY_ALBUMS}?upcoming=only") == {"Album 13"}
    assert len(await mine.names(f"{MY_ALBUMS}?at=2026-11-20")) == 4
    first = await mine.get(f"{MY_ALBUMS}?limit=3&sort=name&x=y")
    assert (first["count"], first["total"]) == (3, 4)
    assert first["href"] == f"{PUBLIC_URL}{MY_ALBUMS}?limit=3&sort=name"
    second = await mine.get(first["next"].removeprefix(PUBLIC_URL))
    assert {each["name"] for each in first["items"]} | {"Album 3"} == {
        each["name"] for each in first["items"] + second["items"]
    }
    refused = await mine.fetch(f"{MY_ALBUMS}?limit=x")
    assert (refused.code, refused.headers["Cache-Control"]) == (400, PRIVATE)


@pytest.mark.gen_test
async def test_an_answer_is_revalidated_by_its_etag_alone(stage: Stage) -> None:
    mine = await owner(stage, 6)
    await mine.follow(1)
    for coding in ("br", "gzip", "identity"):
        first = await mine.fetch(MY_ALBUMS, Accept_Encoding=coding)
        assert "Last-Modified" not in first.headers
        again = await mine.fetch(
            MY_ALBUMS, Accept_Encoding=coding, If_None_Match=first.headers["ETag"]
        )
        assert (again.code, again.body) == (304, b"")
        assert again.headers["Cache-Control"] == PRIVATE
        dated = await mine.fetch(MY_ALBUMS, If_Modified_Since="Fri, 27 Nov 2026 00:00:00 GMT")
        assert dated.code == 200
    head = await mine.fetch(MY_ALBUMS, "HEAD")
    assert (head.code, head.body) == (200, b"")


@pytest.mark.parametrize("ending", ["atom", "json", "ics", "csv"])
@pytest.mark.gen_test
async def test_feeds_take_the_key_in_their_address_and_do_not_repeat_it(
    stage: Stage, ending: str
) -> None:
    mine = await owner(stage, 7, ["read"])
    await mine.follow(4)
    answer = await stage.client.fetch(f"/feeds/my/albums.{ending}?key={mine.key}&type=album")
    assert (answer.code, answer.headers["Cache-Control"]) == (200, PRIVATE)
    text = answer.body.decode()
    assert "Album 4" in text
    assert "Album 5" not in text
    assert mine.key not in text + str(list(answer.headers.get_all()))
    if ending != "csv":
        assert "New releases of my artists" in text
    lists = await stage.client.fetch(f"{MY_ALBUMS}?key={mine.key}")
    assert lists.code == 401, "lists take no key in their address"


@pytest.mark.gen_test
async def test_nothing_private_is_kept_where_public_answers_are(stage: Stage) -> None:
    mine = await owner(stage, 8)
    await mine.follow(1)
    for _ in range(4):
        for path in (MY_ALBUMS, MY_ARTISTS, f"{MY_ATOM}?key={mine.key}"):
            assert (await mine.fetch(path)).code == 200
    freshet = stage.freshet
    assert not [key for key in freshet.cache.responses._stored if "/my" in key[0]]
    assert not [key for key in freshet.cache.hot_queries._spellings._values if "/my" in key[0]]
    assert not [head for head in freshet.head_cache.answers if b"/my" in head]


@pytest.mark.gen_test
async def test_a_key_does_what_its_scopes_say(stage: Stage) -> None:
    reader, syncer = await owner(stage, 9, ["read"]), await owner(stage, 9, ["sync"])
    assert (await reader.fetch(MY_ALBUMS)).code == 200
    for refused in (await reader.fetch(WATCHED, "PUT"), await syncer.fetch(MY_ALBUMS)):
        assert refused.code == 403
        assert orjson.loads(refused.body)["type"] == "/problems/key-lacks-scope"
    assert (await reader.fetch("/api/my/nothing")).code == 404
    assert (await (await owner(stage, 9)).fetch("/api/my/following/", "DELETE")).code == 405


@pytest.mark.gen_test
async def test_the_artists_are_listed_with_why_they_are_there(stage: Stage) -> None:
    mine = await owner(stage, 10)
    await mine.follow(2, 1, 0)
    await mine.fetch(WATCHED, "PUT")
    await mine.fetch(f"/api/my/ignored/{ARTISTS[1]}", "PUT")
    page = await mine.get("/api/my/following/")
    shown = [(each["name"], each["followed"], each["choice"]) for each in page["items"]]
    assert shown == [
        ("Artist 2", True, None),
        ("Artist 1", True, "ignored"),
        ("Artist 0", True, None),
        ("Artist 5", False, "watched"),
    ]
    assert page["items"][0]["newest_release"] == "2026-12-04"
    numbers = {name: page[name] for name in ("followed", "watched", "ignored", "wanted", "checked")}
    assert numbers == {"followed": 3, "watched": 1, "ignored": 1, "wanted": 3, "checked": 0}
    assert page["spotify_list"]["read_at"] == "2026-11-20T05:00:12Z"
    part = await mine.get("/api/my/following/?state=wanted&limit=2&offset=1")
    assert [each["name"] for each in part["items"]] == ["Artist 0", "Artist 5"]
    assert (part["total"], part["next"]) == (3, None)
    assert part["previous"] == f"{PUBLIC_URL}/api/my/following/?state=wanted&limit=2"
    assert (await mine.fetch("/api/my/following/?state=x")).code == 400


@pytest.mark.gen_test
async def test_the_releases_of_a_few_owners_are_in_memory(stage: Stage) -> None:
    held = stage.freshet.own.my_releases
    held.forget()
    for name in OWNERS:
        await held.read(name)
    assert len(held) == MOST_OWNERS
    assert held.size <= stage.freshet.settings.budget.mine
    assert await held.read(OWNERS[-1]) is await held.read(OWNERS[-1])
    await stage.freshet.cache.refresh()
    assert len(held) == 0


@pytest.mark.gen_test
async def test_few_owners_and_few_portions_are_in_memory_at_a_time(stage: Stage) -> None:
    mine, held = await owner(stage, 13), stage.freshet.own.my_releases
    await mine.follow(2, 3)
    alone = f"{MY_ALBUMS}?artist={ARTISTS[2]}"
    for turns, path, other in ((held._portions, alone, MY_ALBUMS), (held._loads, alone, None)):
        for _ in range(MAX_CONCURRENT):
            await turns.acquire()
        if other is None:
            held.forget()
        asked = asyncio.create_task(mine.names(path))
        if other is not None:
            assert await mine.names(other) == {"Album 2", "Album 3"}, "which needs no turn"
        await asyncio.sleep(0.05)
        assert not asked.done()
        for _ in range(MAX_CONCURRENT):
            turns.release()
        assert await asked == {"Album 2"}


@pytest.mark.gen_test
async def test_single_artists_can_be_asked_for_among_the_owners_own(stage: Stage) -> None:
    mine = await owner(stage, 11)
    await mine.follow(1, 2)
    assert await mine.names(f"{MY_ALBUMS}?artist={ARTISTS[2]}") == {"Album 2"}
    assert await mine.names(f"{MY_ALBUMS}?artist={ARTISTS[7]}") == set(), "it is not among them"


async def send(mine: Owner, body: bytes, kind: str = "text/plain") -> HTTPResponse:
    """Import a text for an owner, or for a stranger without a key."""
    return await mine.stage.client.http.fetch(
        f"http://127.0.0.1:{mine.stage.freshet.port}/api/my/import",
        method="POST",
        body=body,
        headers={"Authorization": f"Bearer {mine.key}", "Content-Type": kind},
        raise_error=False,
    )


@pytest.mark.gen_test
async def test_a_list_of_artists_is_imported_and_says_which_lines_it_did_not_understand(
    stage: Stage,
) -> None:
    mine = await owner(stage, 12)
    await mine.fetch(f"/api/my/watched/{ARTISTS[1]}", "PUT")
    text = f"# mine\n{ARTISTS[1]}\nspotify:artist:{ARTISTS[2]}\nLost in Transit\n"
    answer = await send(mine, text.encode())
    result = orjson.loads(answer.body)
    assert (answer.code, answer.headers["Cache-Control"]) == (200, PRIVATE)
    assert (result["artists"], result["newly_watched"]) == (2, 1)
    (fault,) = result["not_understood"]
    assert (fault["line"], fault["text"]) == (4, "Lost in Transit")
    assert fault["reason"]
    assert await mine.names() == {"Album 1", "Album 2", "Album 12"}
    table = f"name,link\r\nThree,https://open.spotify.com/artist/{ARTISTS[3]}?si=x\r\n"
    assert orjson.loads((await send(mine, table.encode(), "text/csv")).body)["newly_watched"] == 1


@pytest.mark.gen_test
async def test_few_long_imports_may_arrive_at_a_time_whatever_becomes_of_them(stage: Stage) -> None:
    mine = await owner(stage, 14)
    port, small = stage.freshet.port, ARTISTS[1].encode()
    head = f"POST /api/my/import/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {mine.key}\r\n"
    begun = f"{head}Content-Length: 1000000\r\n\r\n".encode() + b"x" * 1000

    async def begin(sent: bytes) -> asyncio.StreamWriter:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        await writer.drain()
        return writer

    choices = stage.freshet.own.choices
    slow = [await begin(begun) for _ in range(MOST_IMPORTS)]
    await until(lambda: choices._importing == MOST_IMPORTS)
    busy = await send(mine, small)
    assert (busy.code, busy.headers["Retry-After"]) == (503, "2")
    assert (await send(Owner(stage, None), small)).code == 401, "strangers take no place"
    for each in slow:
        each.close()
    await until(lambda: choices._importing == 0)
    for sent in [begun, begun[:-500], head.encode()] * MOST_IMPORTS:
        (await begin(sent)).close()
    assert (await send(mine, small)).code == 200
    await until(lambda: choices._importing == 0)
    for wrong in (b"x" * 1_100_000, b"PK\x03\x04", small):
        await send(mine, wrong)
        assert choices._importing == 0


@pytest.mark.gen_test
async def test_an_import_may_be_long_but_not_too_long_and_a_strangers_is_not_read(
    stage: Stage,
) -> None:
    mine, stranger = await owner(stage, 13), Owner(stage, None)
    reader = await owner(stage, 13, ["read"])
    long = "\n".join(f"{number:022d}" for number in range(5000)).encode()
    assert len(long) > 100_000
    assert (await send(stranger, long)).code == 401
    assert (await send(reader, long)).code == 403
    answer = await send(mine, long)
    assert orjson.loads(answer.body)["newly_watched"] == 5000
    for wrong in (b"x" * 1_100_000, b"x\n" * 20_001, b"PK\x03\x04 is a spreadsheet", b"", b" \n"):
        refused = await send(mine, wrong)
        assert refused.code == 400
        assert orjson.loads(refused.body)["type"] == "/problems/import-refused"
    assert (await send(stranger, b"x" * 1_100_000)).code == 401
    rest = "\n".join(f"{number:022d}" for number in range(MOST_CHOSEN + 1)).encode()
    for body, watched in ((rest, 5000), (rest[:-23], MOST_CHOSEN)):
        answer = await send(mine, body)
        assert answer.code == (200 if watched == MOST_CHOSEN else 409)
        assert (await mine.get("/api/my/following/?limit=1"))["watched"] == watched
    assert (await mine.fetch(WATCHED, "PUT")).code == 409
    assert (await mine.fetch(f"/api/my/ignored/{ARTISTS[5]}", "PUT")).code == 204
