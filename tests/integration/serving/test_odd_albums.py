"""Whatever Spotify lists, every address answers 200, validly, and from the newest sync.

Random lists of albums with odd values of every kind (`odd_albums`) go through a stand-in into one
server, whose formats, pages and orders are in demand all the while. Each answer is read by a parser
that is not ours. FRESHET_SOAK=1 tries a hundred pairs of lists.
"""

import asyncio
import json
import os
import random
from collections.abc import Iterator
from typing import Any

import html5lib
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from icalendar import Calendar
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import URL, text
from structlog.testing import capture_logs
from tornado.httpclient import HTTPResponse

from server.app.application import Application
from server.catalog.query import KINDS
from server.openapi.status_schemas import Status
from server.spotify import lenient_json
from server.spotify.list_parser import parse_items
from server.standin import Answer, AppKind, Catalogue, StandIn
from tests.support import odd_albums
from tests.support.client import Client
from tests.support.databases import NewDatabase
from tests.support.feed_formats import faults_of, rows
from tests.support.loops import own_loop
from tests.support.settings import settings_for
from tests.support.waiting import until

LONG = bool(os.environ.get("FRESHET_SOAK"))
EXAMPLES = 100 if LONG else 3
SEARCH, MANY = "/v1/search", "/v1/artists"
ASKED = (
    "",
    *(f"sort={name}&upcoming=include" for name in ("released", "-released", "seen", "-seen")),
    "sort=name",
    "sort=-name&limit=1&offset=1&upcoming=include",
    "exclude=various_artists,versions&upcoming=include",
    "include=markets&upcoming=include",
    "upcoming=only",
    "type=single,ep&upcoming=include",
    "q=a&upcoming=include",
    "market=DE&upcoming=include",
    "released_after=0001&released_before=9999-12-31&upcoming=include",
)
ALL = "upcoming=include"
NEVER = {  # in the log: what no value of Spotify's may bring about
    "item_left_out",
    "answer_failed",
    "task_crashed",
    "request_crashed",
    "sync_crashed",
    "served_behind",
}


def address(path: str, query: str) -> str:
    """Where to ask: for ten artists at most, since a release of 200 artists is in each of them.

    With long names such a list would be larger than the memory for answers that clients have not
    read yet, and the server would close the connection.
    """
    if path == "/api/artists/" and "limit" not in query:
        query = f"{query}&limit=10" if query else "limit=10"
    return f"{path}?{query}" if query else path


def body_of(items: list[Any]) -> bytes:
    """An answer of the search, with half pairs and huge numbers as JSON can hold them."""
    listed = {"items": items, "total": len(items), "limit": 50, "offset": 0, "next": None}
    return json.dumps({"albums": listed}).encode("ascii")


def is_readable(items: list[Any]) -> bool:
    """Return whether the client reads such a response: a large one must need no repair."""
    try:
        lenient_json.decode(body_of(items))
    except ValueError:
        return False
    return True


def read_html(body: bytes) -> Any:
    """A page by the rules of the HTML standard, any breach of which raises."""
    return html5lib.HTMLParser(strict=True).parse(body.decode())


class Server:
    """One server for all lists, and what is in demand of it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, url: URL) -> None:
        self.loop, self._url = loop, url

    async def start(self) -> None:
        catalogue = Catalogue([], recent_days=None)
        self.standin = StandIn(kind=AppKind.RESTRICTED, catalogue=catalogue)
        self.standin.start()
        self.freshet = Application(
            settings_for(
                self._url,
                self.standin,
                sync_interval=0,
                sync_source="search",
                quota_per_day=1_000_000,
                access_log="off",
            )
        )
        self.freshet.start()
        await until(lambda: self.freshet.timers.are_running)
        self.client = Client(self.freshet)

    async def stop(self) -> None:
        self.client.http.close()
        await self.freshet.stop()
        await self.standin.stop()

    async def forget(self) -> None:
        """Have nothing stored but the journal, as a new server has."""
        statement = text("TRUNCATE albums, artists CASCADE")
        await self.freshet.database.run(lambda session: session.execute(statement))

    async def sync(self, items: list[Any], details: list[Any]) -> None:
        self.standin.answer_next(SEARCH, Answer(200, body_of(items)))
        report = await self.freshet.syncer.sync()
        assert report.outcome in ("complete", "partial"), report
        self.standin.answer_next(MANY, Answer(200, json.dumps({"artists": details}).encode()))
        await self.freshet.details.tick()
        self.standin.behave()

    async def get(self, path: str) -> HTTPResponse:
        answer = await self.client.fetch(path)
        assert answer.code == 200, (path, answer.code, answer.body[:500])
        return answer

    async def newest(self) -> str:
        """When the newest sync ended, as answers tell it."""
        at = text(
            'SELECT to_char(finished_at, \'YYYY-MM-DD"T"HH24:MI:SS"Z"\') FROM sync_runs'
            " WHERE outcome <> 'failed' ORDER BY id DESC LIMIT 1"
        )
        return str(await self.freshet.database.run(lambda session: session.scalar(at)))


@pytest.fixture(scope="module")
def server(new_database: NewDatabase, migrated: str) -> Iterator[Server]:
    with new_database(migrated) as url, own_loop() as loop:
        made = Server(loop, url)
        loop.run_until_complete(made.start())
        yield made
        loop.run_until_complete(made.stop())


def check_list(path: str, answer: HTTPResponse) -> int:
    """Read an answer by a parser that is not ours; how many items it has."""
    body = answer.body
    if path.endswith(".atom"):
        assert faults_of(body) == []
        return body.count(b"<entry>")
    if path.endswith(".ics"):
        calendar = Calendar.from_ical(body)
        assert not calendar.errors
        assert all(len(line) <= 75 for line in body.split(b"\r\n"))
        events = calendar.walk("VEVENT")
        assert not [each.errors for each in events if each.errors]
        return len(events)
    if path.endswith(".csv"):
        cells = rows(body)
        assert not [row for row in cells if None in row or None in row.values()]
        return len(cells)
    content = json.loads(body)
    if path.endswith(".json"):
        assert all(item["id"] and item["content_text"] for item in content["items"])
    return len(content["items"])


async def check(server: Server, items: list[Any], dice: random.Random) -> None:
    """Ask for everything, in any order, and see that it is of the newest sync."""
    newest = await server.newest()
    lists = [(path, query) for path in KINDS for query in ASKED]
    dice.shuffle(lists)  # so that other ones are in demand each time
    for path, query in lists:
        answer = await server.get(address(path, query))
        assert answer.headers["X-Last-Sync"] == newest, (path, query)
        check_list(path, answer)
    listed = json.loads((await server.get(f"/api/albums/?{ALL}&sort=name")).body)["items"]
    met = parse_items(json.loads(json.dumps(items))).releases
    assert {each.spotify_id for each in met} <= {each["spotify_id"] for each in listed}
    for path in KINDS:
        if path.startswith("/feeds/") and not path.endswith(".ics"):
            assert check_list(path, await server.get(f"{path}?{ALL}")) == len(listed), path
    artists = {each["spotify_id"] for item in listed for each in item["artists"][:2]}
    for album in listed:
        answer = await server.get(f"/api/albums/{album['spotify_id']}/")
        assert json.loads(answer.body)["name"] == album["name"]
        assert answer.headers["X-Last-Sync"] == newest
    for spotify_id in sorted(artists)[:6]:
        json.loads((await server.get(f"/api/artists/{spotify_id}/")).body)
        read_html((await server.get(f"/artists/{spotify_id}/")).body)
    for query in ASKED[:8]:
        await server.get(f"/?{query}")
    read_html((await server.get(f"/?{dice.choice(ASKED)}")).body)
    read_html((await server.get("/status")).body)
    Status.model_validate_json((await server.get("/api/status")).body)
    list(text_string_to_metric_families((await server.get("/metrics")).body.decode()))
    await server.get("/readyz")


async def check_journal(server: Server) -> None:
    """Follow the journal to its end, which listeners have been told of."""
    after = 0
    while True:
        page = json.loads((await server.get(f"/api/changes/?after={after}&limit=1000")).body)
        if not page["items"]:
            break
        after = page["next_after"]
    follower = await server.freshet.broadcast.follow(None)
    assert follower.position.seq == after
    follower.leave()


@pytest.mark.slow
@settings(
    max_examples=EXAMPLES,
    phases=[each for each in Phase if each is not Phase.shrink],  # which would take minutes
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
@given(
    first=odd_albums.lists(),
    second=odd_albums.lists(),
    details=st.lists(odd_albums.details(), max_size=3),
    seed=st.integers(0, 1000),
)
def test_whatever_is_listed_everything_is_answered_from_the_newest_sync(
    server: Server, first: list[Any], second: list[Any], details: list[Any], seed: int
) -> None:
    lists = [odd_albums.whole(each) for each in (first, second)]
    assume(all(map(is_readable, lists)))

    async def play() -> None:
        dice = random.Random(seed)
        await server.forget()
        with capture_logs() as logs:
            for listed in lists:
                await server.sync(listed, odd_albums.whole(details))
                await check(server, listed, dice)
            await check_journal(server)
        assert [line for line in logs if line["event"] in NEVER] == []

    server.loop.run_until_complete(play())
