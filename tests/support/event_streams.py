"""Event streams: clients that read them, and changes that reach them."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from handlers.api.events import EventsHandler
from handlers.pages.base import NotFoundHandler, Pages
from handlers.session import PublicAddress
from server.app.application import Application
from server.app.serving import Refuser
from server.catalog.journal import JournalEntry, JournalPage, Place
from server.database.executor import Database
from server.errors import DatabaseUnavailable
from server.http.forwarded import TrustedProxies
from server.http.server import WebServer
from server.observability.access_log import AccessLog
from server.serving.streams.broadcast import Broadcast
from server.storage import changes, sweeps
from tests.support.examples import album, sweep
from tests.support.loops import Closing
from tests.support.servers import LaunchFreshet
from tests.support.settings import MakeSettings
from tests.support.waiting import until


def now() -> datetime:
    return datetime.now(UTC)


def happen(database: Database, items: list[Any]) -> None:
    """Store a sync of these albums, as another process would."""
    with Session(database.engine) as session, session.begin():
        sweeps.record_sweep(session, sweep(items), now(), now)


def forget_for_a_year(session: Session) -> None:
    """Make the first album unseen for a year, with complete syncs since yesterday."""
    session.execute(text("UPDATE albums SET last_seen_at = now() - interval '1 year' WHERE id = 1"))
    runs = text(
        "UPDATE sync_runs SET finished_at = now() - interval '30 hours' WHERE id ="
        " (SELECT min(id) FROM sync_runs)"
    )
    session.execute(runs)


def journal_of(database: Database) -> list[JournalEntry]:
    with Session(database.engine) as session:
        return changes.read(session, 0, 1_000_000).entries


class EventClient:
    """A client that listens by HTTP/1.0, whose answers come as they are, without chunks."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.head, self.greeting = b"", b""
        self.last_id, self.place = 0, "0"

    @classmethod
    async def open(
        cls, port: int, after: int | str | None = None, path: str = "/api/events", fields: str = ""
    ) -> "EventClient":
        ear = cls(*await asyncio.open_connection("127.0.0.1", port))
        try:
            await ear._begin(after, path, fields)
        except BaseException:
            ear.close()
            raise
        return ear

    async def _begin(self, after: int | str | None, path: str, fields: str) -> None:
        place = "" if after is None else f"Last-Event-ID: {after}\r\n"
        self.writer.write(f"GET {path} HTTP/1.0\r\nHost: x\r\n{place}{fields}\r\n".encode())
        self.head = await self.reader.readuntil(b"\r\n\r\n")
        assert self.head.startswith(b"HTTP/1.1 200 "), self.head
        self.greeting = await self.reader.readuntil(b"\n\n")
        self._move(re.findall(rb"id: (.+)", self.greeting)[0])

    async def event(self, seconds: float = 20.0) -> tuple[int, str, bytes]:
        """Read the next event: its id, its kind and its data."""
        async with asyncio.timeout(seconds):
            while (block := await self.reader.readuntil(b"\n\n")).startswith(b":"):
                pass
        first, second, third = block.removesuffix(b"\n\n").split(b"\n")
        self._move(first.removeprefix(b"id: "))
        return self.last_id, second.removeprefix(b"event: ").decode(), third.removeprefix(b"data: ")

    def _move(self, place: bytes) -> None:
        self.place = place.decode()
        self.last_id = Place.parse(self.place).seq

    async def ids(self, count: int) -> list[int]:
        return [(await self.event())[0] for _ in range(count)]

    async def rest(self) -> bytes:
        """Read until the server ends the stream."""
        async with asyncio.timeout(30):
            return await self.reader.read()

    def close(self) -> None:
        self.writer.close()


Serve = Callable[..., Awaitable[Application]]


@pytest.fixture
def serve(make_settings: MakeSettings, launch_freshet: LaunchFreshet) -> Serve:
    """Start a whole server on the test's database, without syncs of its own."""

    async def make(**overrides: Any) -> Application:
        freshet: Application = launch_freshet(make_settings(**{"sync_interval": 0, **overrides}))
        await until(lambda: freshet.timers.are_running)
        return freshet

    return make


class ControlledBroadcast:
    """The event stream alone, with intervals and limits set by the test; counts its reads."""

    def __init__(self, database: Database, held: int, max_followers: int, **seconds: float) -> None:
        self._database = database
        self.reads = 0
        self.away = False
        self.broadcast = Broadcast(self._read, self._read_latest, held, max_followers)
        handed = {"broadcast": self.broadcast, **seconds}
        routes = [(r"/api/events", EventsHandler, handed)]
        elsewhere = (NotFoundHandler, {"pages": Pages(PublicAddress("http://127.0.0.1:5000"))})
        log = AccessLog("off")
        self.web_server = WebServer(
            routes, log, elsewhere, refuse=Refuser("", log, TrustedProxies())
        )
        self.port = self.web_server.listen("127.0.0.1", 0)
        self.web_server.open()

    async def _read(self, after: int, limit: int) -> JournalPage:
        self.reads += 1
        if self.away:
            raise DatabaseUnavailable("gone")
        return await self._database.run(changes.read, after, limit)

    async def _read_latest(self, limit: int) -> JournalPage:
        if self.away:
            raise DatabaseUnavailable("gone")
        return await self._database.run(changes.read_latest, limit)

    async def close(self) -> None:
        self.broadcast.close()
        await self.web_server.close()


MakeBroadcast = Callable[..., ControlledBroadcast]


@pytest.fixture
def controlled(database: Database, closing: Closing) -> MakeBroadcast:
    def make(held: int = 1000, max_followers: int = 10, **seconds: float) -> ControlledBroadcast:
        controlled = ControlledBroadcast(database, held, max_followers, **seconds)
        closing(controlled.close)
        return controlled

    return make


async def listen(port: int, count: int) -> list[EventClient]:
    """Open `count` streams, a hundred at a time so that the accept queue does not fill."""
    ears: list[EventClient] = []
    while len(ears) < count:
        some = min(100, count - len(ears))
        ears += await asyncio.gather(*(EventClient.open(port) for _ in range(some)))
    return ears


async def spread(ears: list[EventClient], database: Database, number: int) -> float:
    """Return the seconds from a sync that adds an album until the last client has its events."""
    began = time.monotonic()
    await database.compute(happen, database, [album(number)])
    last = (await database.run(changes.read_latest, 1)).entries[0].seq

    async def hear(ear: EventClient) -> None:
        while ear.last_id != last:
            await ear.event()

    await asyncio.gather(*(hear(ear) for ear in ears))
    return time.monotonic() - began
