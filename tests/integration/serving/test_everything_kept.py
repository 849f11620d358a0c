"""Feeds, owners' lists and pages go on through everything kept, far beyond what is in memory."""

import re
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest
from lxml import etree
from tornado.httpclient import HTTPResponse
from tornado.platform.asyncio import AsyncIOLoop

from handlers.pages.presenters.formatting import date_words
from handlers.pages.presenters.grid_links import ReleaseGridQuery
from models import Login
from server.app.application import Application
from server.catalog.query import FEEDS, parse
from server.catalog.snapshot import HELD
from server.database.admission import Admission
from server.errors import DatabaseUnavailable
from server.following import list_store
from server.serving.readings import Readings
from tests.support.catalog_server import Stage
from tests.support.clock import Clock
from tests.support.databases import NewDatabase
from tests.support.examples import album, artist, spotify_id
from tests.support.feed_formats import ATOM, faults_of
from tests.support.loops import shared_io_loop
from tests.support.outline import Outline
from tests.support.settings import settings_for
from tests.support.waiting import until

pytestmark = pytest.mark.slow

NOW = datetime(2026, 11, 20, 5, 0, 12, tzinfo=UTC)
COUNT = HELD.overall + 30
ARTISTS = 30
FOLLOWED = 29  # of the artists; they have more releases than memory holds
PATHS = [each.path for each in FEEDS]
ONCE = {
    "atom": r"<id>spotify:album:album(\d+)",
    "json": r'"id":"spotify:album:album(\d+)',
    "ics": r"UID:album(\d+)",
    "csv": r"\nalbum(\d+)",
}
Numbers = list[int]


@pytest.fixture(scope="module")
def io_loop() -> Iterator[AsyncIOLoop]:
    """One loop for all tests of this module, which share a server."""
    with shared_io_loop() as loop:
        yield loop


def release(number: int) -> dict[str, Any]:
    kinds = ("album", "single", "compilation")
    return album(
        number,
        artists=[artist(number % ARTISTS)],
        album_type=kinds[number % 3],
        name=f"Album {number // 2}" + " (Deluxe)" * (number % 2 and number % ARTISTS == 1),
        release_date=f"20{10 + number % 16}-11-{1 + number % 28:02}",
    )


@pytest.fixture(scope="module")
def stage(io_loop: AsyncIOLoop, new_database: NewDatabase, migrated: str) -> Iterator[Stage]:
    """A server that has more releases than it holds in memory, seen in two syncs."""
    with new_database(migrated) as url:
        freshet = Application(settings_for(url, sync_interval=0), Clock(NOW))
        made = Stage(freshet)

        def log_in(session: Any) -> None:
            for name in ("ana", "ben"):
                session.add(Login(account_id=name, scopes=[], state="active", authorized_at=NOW))

        async def begin() -> None:
            freshet.start()
            await until(lambda: freshet.timers.are_running)
            for turn in range(2):
                items = [release(number) for number in range(turn, COUNT, 2)]
                await made.take(items, NOW - timedelta(hours=2 - turn))
            await freshet.database.run(log_in)

        io_loop.asyncio_loop.run_until_complete(begin())
        yield made
        io_loop.asyncio_loop.run_until_complete(freshet.stop())
        made.client.http.close()


def linked(answer: HTTPResponse) -> dict[str, str]:
    """Return the addresses in `Link` without this server's, by their relations."""
    found = re.findall(r'<([^>]+)>; rel="([^"]+)"', answer.headers["Link"])
    return {name: local(address) for address, name in found}


def local(address: str) -> str:
    parts = urlsplit(address)
    return parts.path + (f"?{parts.query}" if parts.query else "")


async def walked(fetch: Callable[[str], Awaitable[HTTPResponse]], path: str) -> list[HTTPResponse]:
    """Follow `next` to the end."""
    pages: list[HTTPResponse] = []
    following: str | None = path
    while following is not None:
        answer = await fetch(following)
        assert answer.code == 200, (following, answer.body)
        pages.append(answer)
        following = linked(answer).get("next")
        assert len(pages) < 100
    return pages


def numbers(pages: list[HTTPResponse], ending: str) -> Numbers:
    return [int(each) for page in pages for each in re.findall(ONCE[ending], page.body.decode())]


async def expected(stage: Stage, query: str, path: str = "/api/albums/") -> Numbers:
    """The releases that the lists of the API have for a query."""
    pages = await walked(stage.client.fetch, f"{path}?limit=500{query}")
    items = [item for page in pages for item in orjson.loads(page.body)["items"]]
    return [int(item["spotify_id"].removeprefix("album")) for item in items]


@pytest.mark.gen_test
async def test_a_feed_leads_from_the_address_people_subscribe_to_through_all_that_is_kept(
    stage: Stage,
) -> None:
    seen_last_first = await expected(stage, "&sort=-seen")
    assert sorted(seen_last_first) == list(range(COUNT))
    of_a_kind = await expected(stage, "&sort=-seen&kind=album")
    for path in PATHS:
        ending = path.rpartition(".")[2]
        pages = await walked(stage.client.fetch, path)
        assert numbers(pages, ending) == seen_last_first, path
        first, *others = pages
        assert numbers([first], ending) == seen_last_first[:50]
        assert "first" not in linked(first)
        for page in others:
            assert linked(page)["first"] == path
        small = await walked(stage.client.fetch, f"{path}?limit=200&kind=album")
        assert numbers(small, ending) == of_a_kind
        assert len(small) < len(pages)


@pytest.mark.gen_test
async def test_pages_of_a_feed_name_it_and_each_other_in_its_format(stage: Stage) -> None:
    root = stage.freshet.settings.public_url
    address = "/feeds/albums.atom?exclude=versions"
    for number, page in enumerate(await walked(stage.client.fetch, address)):
        assert faults_of(page.body) == []
        feed = etree.fromstring(page.body)
        assert feed.findtext(f"{ATOM}id") == root + address, "every page is of the same feed"
        links = {each.get("rel"): each.get("href") for each in feed.findall(f"{ATOM}link")}
        told = linked(page)
        assert links.get("first") == (f"{root}{address}" if number else None)
        assert links.get("next") == (root + told["next"] if "next" in told else None)
        assert links["self"] != links.get("next")
    address = "/feeds/albums.json?tz=Asia/Tokyo&q=album"
    for page in await walked(stage.client.fetch, address):
        told, feed = linked(page), orjson.loads(page.body)
        assert feed["feed_url"] == root + address
        assert feed.get("next_url") == (root + told["next"] if "next" in told else None)


@pytest.mark.gen_test
async def test_at_the_address_of_a_feed_nothing_but_the_link_is_new(stage: Stage) -> None:
    for path in PATHS:
        usual = (await stage.client.fetch(path)).body
        alone = (await stage.client.fetch(f"{path}?release_limit=49")).body
        added = re.sub(rb'<link rel="next"[^>]+>|"next_url":"[^"]+",', b"", usual)
        assert added == usual or path.endswith(("atom", "json"))
        assert b"cursor" not in added
        assert alone.replace(b"?release_limit=49", b"")[:400] == added[:400], "before any entry"
    for few in ("?sort=name", "?upcoming=only", "?release_limit=50&sort=-name"):
        assert "next" not in linked(await stage.client.fetch(f"{PATHS[0]}{few}")), few


@pytest.mark.gen_test
async def test_a_feed_of_one_artist_keeps_its_name_and_any_filter_goes_on(stage: Stage) -> None:
    query = f"?artist={spotify_id('artist', 3)}"
    pages = await walked(stage.client.fetch, f"/feeds/albums.json{query}&limit=8")
    assert len(pages) == 3
    for page in pages:
        assert orjson.loads(page.body)["title"] == "Artist 3 – New releases on Spotify"
    assert numbers(pages, "json") == await expected(stage, f"&sort=-seen&{query[1:]}")
    for each in ("kind=compilation", "exclude=versions", "released_before=2015", "q=album+1"):
        pages = await walked(stage.client.fetch, f"/feeds/albums.csv?{each}")
        found = numbers(pages, "csv")
        assert len(set(found)) == len(found), each
        assert set(found) >= set(await expected(stage, f"&{each}")), each


@pytest.mark.gen_test
async def test_owners_read_all_of_their_artists_and_no_cursor_of_another(stage: Stage) -> None:
    keys = {}
    followed = [(spotify_id("artist", each), f"Artist {each}") for each in range(FOLLOWED)]
    for name in ("ana", "ben"):
        keys[name] = (await stage.freshet.keys.create(name, "test", ["read"])).key
        run = stage.freshet.database.run
        await run(list_store.record_followed, name, followed, NOW, "another process")
    stage.freshet.own.my_releases.forget()

    def by(name: str) -> Callable[[str], Awaitable[HTTPResponse]]:
        return lambda path: stage.client.fetch(path, Authorization=f"Bearer {keys[name]}")

    theirs = {each for each in range(COUNT) if each % ARTISTS < FOLLOWED}
    assert len(theirs) > HELD.overall
    for query in ("", "&sort=name", "&exclude=versions", "&kind=album&sort=seen"):
        pages = await walked(by("ana"), f"/api/my/albums/?limit=200{query}")
        found = [item["spotify_id"] for page in pages for item in orjson.loads(page.body)["items"]]
        listed = [int(each.removeprefix("album")) for each in found]
        assert listed == [each for each in await expected(stage, query) if each in theirs], query
        assert {page.headers["Cache-Control"] for page in pages} == {"private, no-store"}
    pages = await walked(by("ana"), "/api/my/artists/?limit=20&sort=name")
    items = [item for page in pages for item in orjson.loads(page.body)["items"]]
    assert len(items) == len({item["name"] for item in items}) == FOLLOWED
    assert sum(len(item["albums"]) for item in items) == len(theirs)
    pages = await walked(by("ana"), "/feeds/my/albums.atom")
    assert numbers(pages, "atom") == [
        each for each in await expected(stage, "&sort=-seen") if each in theirs
    ]
    following = linked(pages[0])["next"]
    assert (await by("ana")(following)).code == 200
    refused = await by("ben")(following)
    assert refused.code == 400
    (fault,) = orjson.loads(refused.body)["errors"]
    assert fault["parameter"] == "cursor"
    assert (await stage.client.fetch(following)).code == 401
    public = await stage.client.fetch(following.replace("/my/", "/"))
    assert public.code == 400


async def grid(stage: Stage, path: str) -> tuple[Numbers, str | None, str]:
    """A page of covers: its releases, where "next" leads, and the page."""
    answer = await stage.client.fetch(path, Accept="text/html")
    page = answer.body.decode()
    assert answer.code == 200, page
    outline = Outline(page)
    shown = [str(each["id"])[7:] for tag, each in outline.seen if tag == "li" and "id" in each]
    onward = [each for tag, each in outline.seen if tag == "link" and each.get("rel") == "next"]
    return [int(each) for each in shown], str(onward[0]["href"]) if onward else None, page


@pytest.mark.gen_test
async def test_the_page_scrolls_by_links_through_all_that_is_kept_with_its_filters(
    stage: Stage,
) -> None:
    for query, name in (
        ("", "Older releases"),
        ("?limit=100&kind=compilation&sort=-seen", "Added earlier"),
        ("?limit=200&exclude=versions&sort=name", "More releases"),
        ("?limit=100&at=2026-11-20", "Older releases"),
    ):
        found: Numbers = []
        path: str | None = f"/{query}"
        count = 0
        while path is not None:
            shown, onward, page = await grid(stage, path)
            assert (f">{name}</a>" in page) == (onward is not None)
            assert (f"<title>{name}" in page) == (count > 0)
            back = f'href="/{query}#releases">Back to the ' in unescape(page)
            assert back == (count > 0), "the way back keeps the filters"
            assert ('name="robots" content="noindex' in page) == (path != "/")
            assert "data-live" not in page or not count
            for each in query.removeprefix("?").split("&"):
                assert each in path
            found, path, count = found + shown, onward, count + 1
        listed = await expected(stage, query.replace("?", "&").replace("limit", "x"))
        assert found == listed, query
        assert count > 1
    _, onward, page = await grid(stage, "/")
    assert "first 48 releases" in page
    shown, _, page = await grid(stage, str(onward))
    days = [release(each)["release_date"] for each in shown]
    span = f"{date_words(min(days))} – {date_words(max(days))}"
    assert f'Older releases <span class="soft">{span}</span>' in page
    assert f"<title>Older releases, {span} · Freshet</title>" in page
    assert ">0 releases<" in (await grid(stage, "/?q=zzzz"))[2], "also where more are kept"


@pytest.mark.gen_test
async def test_a_page_whose_cursor_is_of_no_use_leads_to_the_first_one(stage: Stage) -> None:
    _, onward, _ = await grid(stage, "/?kind=compilation")
    assert onward is not None
    other = onward.replace("compilation", "album")
    for path in (other, f"{other}&offset=48", f"{other}&release_limit=5"):
        stale = await stage.client.fetch(path, Accept="text/html")
        page = stale.body.decode()
        assert stale.code == 400
        assert '<a class="button main" href="/?kind=album">Back to the first page</a>' in page


@pytest.mark.gen_test
async def test_without_a_database_a_page_shows_what_memory_has_of_it(stage: Stage) -> None:
    async def unavailable(*_: Any) -> None:
        raise DatabaseUnavailable("gone")

    cache = stage.freshet.cache
    readings = Readings(unavailable, cache.readings.cursors)
    snapshot = await cache.snapshot_for(None)
    by_name = ReleaseGridQuery(sort="name")
    (listed, _) = await readings.select(snapshot, by_name, NOW, Admission())
    assert (len(listed.items), listed.total) == (48, HELD.overall)
    assert listed.following == "/?offset=48&sort=name"
    (read, _) = await cache.select(snapshot, by_name)
    assert read.following is not None
    deep = parse(ReleaseGridQuery, read.following.partition("?")[2])
    with pytest.raises(DatabaseUnavailable):
        await readings.select(snapshot, deep, NOW, Admission())
