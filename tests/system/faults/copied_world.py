"""A changing catalogue, two servers, and what stands between them and a client that keeps a copy.

The catalogue is changed by the functions with which syncs, checks and retention store what they
have found, so that a hundred of them take a second. A server does not hear of a change that is
announced under its own name, since it believes that it was its own: so it lags behind.
"""

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import orjson
from sqlalchemy import URL, func, select
from sqlalchemy.orm import Session

from models import Album
from server.app.application import Application
from server.catalog.release import summary
from server.database.engine import make_engine
from server.spotify.list_parser import parse_items
from server.storage import artist_checks, changes, retention, sweeps
from server.storage.artist_checks import Check, Scheduled
from tests.support.clock import Clock
from tests.support.examples import album, artist, spotify_id, sweep
from tests.support.ports import free_port
from tests.support.release_copy import ReleaseCopy
from tests.support.settings import settings_for
from tests.support.waiting import until

START = datetime(2026, 11, 20, 5, tzinfo=UTC)
KEEP = timedelta(days=90)
SECONDS = 20.0  # for whatever a client waits for
PAUSE = 0.01  # seconds
BLOCK = 4096  # bytes


class Front:
    """A proxy that gives each connection to the next server, and cuts some of them.

    `cuts` are the numbers of bytes after which the next connections end.
    """

    def __init__(self, *ports: int) -> None:
        self.port = free_port()
        self.cuts: list[int] = []
        self.lead_to(*ports)
        self._open: set[asyncio.Task[None]] = set()
        self._closed = False

    def lead_to(self, *ports: int) -> None:
        """Give connections to servers on these ports."""
        self._ports = itertools.cycle(ports)
        self._count = len(ports)

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", self.port)

    async def stop(self) -> None:
        self._closed = True
        self._server.close()
        await self.cut()
        await self._server.wait_closed()

    async def cut(self) -> None:
        """Cut all open connections."""
        for task in tuple(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _accepted(self, reader: Any, writer: Any) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            if not self._closed:
                await self._pass(reader, writer)
        self._open.discard(task)
        writer.transport.abort()

    async def _pass(self, reader: Any, writer: Any) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        there, back = await self._connected()
        back.write(request)
        left = self.cuts.pop() if self.cuts else 1 << 30
        try:
            while left > 0 and (block := await there.read(min(BLOCK, left))):
                left -= len(block)
                writer.write(block)
                await writer.drain()
        finally:
            back.transport.abort()
        await asyncio.sleep(0)  # so that what was written is sent before the connection ends
        writer.close()
        await writer.wait_closed()

    async def _connected(self) -> Any:
        for _ in range(self._count):
            with suppress(OSError):
                return await asyncio.open_connection("127.0.0.1", next(self._ports))
        raise OSError("no server")


class HastyCopy(ReleaseCopy):
    """A copy that counts how often it began again, and waits no longer than a test can."""

    full_reads = 0

    def read_all(self) -> None:
        self.full_reads += 1
        super().read_all()

    def wait(self, seconds: float) -> None:
        if self.closed:
            raise InterruptedError  # also where the server has gone for good
        time.sleep(min(seconds, PAUSE))


class Listener(threading.Thread):
    """Remembers what the event stream says since the last reset."""

    def __init__(self, server: str) -> None:
        super().__init__(daemon=True)
        self.copy = HastyCopy(server)
        self.heard: list[dict[str, Any]] = []
        self.since = self.seq = self.resets = 0

    def run(self) -> None:
        with suppress(InterruptedError):
            for changes in self.copy.listen("0"):
                for change in changes:
                    self._take(change)

    def _take(self, change: dict[str, Any]) -> None:
        if change["kind"] == "reset":
            self.resets += 1
            self.heard = []
            self.since = self.seq = change["newest"]
        else:
            self.heard.append(change)
            self.seq = change["seq"]


class Follower(threading.Thread):
    """Keeps a copy up to date by the event stream."""

    def __init__(self, server: str) -> None:
        super().__init__(daemon=True)
        self.copy = HastyCopy(server)

    def run(self) -> None:
        with suppress(InterruptedError):
            for _ in self.copy.follow():
                pass


class CopiedWorld:
    """A database, two servers on it, a client behind a proxy, and all that may happen to them."""

    def __init__(self, url: URL) -> None:
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        self._url = url
        self._engine = make_engine(url)
        self.clock = Clock(START)
        ports = [free_port(), free_port()]
        self.front = Front(*ports)
        self.address = f"http://127.0.0.1:{self.front.port}"
        self.servers = [self._server(port) for port in ports]
        self.releases: dict[int, dict[str, Any]] = {}
        self.names: dict[int, str] = {}
        self.ledger: list[dict[str, Any]] = []
        self._noting = threading.Lock()
        self._backup: Any = None
        self.may_miss = True  # the client has not begun
        self.copy = HastyCopy(self.address)
        self.listener = Listener(self.address)
        self.follower = Follower(self.address)
        self.run(self._begin())

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(asyncio.wait_for(work, SECONDS))

    def _server(self, port: int) -> Application:
        settings = settings_for(
            self._url, port=port, public_url=self.address, sync_interval=0, access_log="off"
        )
        return Application(settings, self.clock)

    async def _begin(self) -> None:
        for server in self.servers:
            server.start()
        await self.front.start()
        await asyncio.gather(*(server.opening for server in self.servers))
        self.listener.start()
        self.follower.start()
        await until(lambda: all(server.broadcast.ring for server in self.servers))
        await asyncio.to_thread(self.sync, set(), None)  # before it, lists are a 503

    def close(self) -> None:
        self.copy.closed = self.listener.copy.closed = self.follower.copy.closed = True
        self.run(self.front.stop())
        self.run(asyncio.to_thread(self.listener.join))
        self.run(asyncio.to_thread(self.follower.join))
        for server in self.servers:
            self.run(server.stop())
        self.run(self.loop.shutdown_default_executor())
        self._engine.dispose()
        self.loop.close()
        asyncio.set_event_loop(None)

    # What happens at Spotify: it shows when the next sync or check finds it.

    def change(self, number: int, fields: dict[str, Any]) -> None:
        """Give a release other fields; `artists` are numbers."""
        self.releases.setdefault(number, {"artists": [number % 4]}).update(fields)

    def rename_artist(self, number: int, name: str) -> None:
        self.names[number] = name

    def _items(self, numbers: Any) -> list[dict[str, Any]]:
        items = []
        for number in sorted(numbers):
            self.change(number, {})
            fields = self.releases[number]
            credited = [
                artist(each, name=self.names.get(each, f"Artist {each}"))
                for each in fields["artists"]
            ]
            items.append(album(number, **{**fields, "artists": credited}))
        return items

    # What happens at Freshet. `deaf` is the server that does not hear of it, or None.

    def sync(self, numbers: set[int], deaf: int | None, complete: bool = True) -> None:
        """Store a sync that has found these releases."""
        self.clock.forward(minutes=7)
        found = sweep(self._items(numbers), complete=complete)
        self._write(sweeps.record_sweep, found, self.clock(), self.clock, self._name(deaf))

    def check(self, number: int, deaf: int | None) -> None:
        """Store a check of an artist, which finds all its releases."""
        self.clock.forward(minutes=1)
        theirs = [each for each in self.releases if number in self.releases[each]["artists"]]
        her = spotify_id("artist", number)
        parsed = parse_items(self._items(theirs)).releases
        check = Check(her, "albums", parsed, 2)
        planned = Scheduled(her, self.clock(), self.clock())
        self._write(artist_checks.record_check, check, planned, self.clock, lambda after, *_: after)
        self._announce(self._name(deaf))

    def unwant(self, deaf: int | None) -> None:
        """Close the listings of checks, as if nobody wanted the artists any more."""
        self._write(artist_checks.close_listings, [], self.clock())
        self._announce(self._name(deaf))

    def age(self, numbers: set[int], deaf: int | None) -> None:
        """Let two months go by in which syncs find these releases; then clear what is old."""
        self.may_miss = True
        for days in (61, 1):
            self.clock.forward(days=days)
            self.sync(numbers, deaf)
        more = True
        while more:
            more = self._write(retention.delete_batch, self.clock(), KEEP, self._name(deaf)).more

    def meanwhile(self, found: list[set[int]], artists: list[int], deaf: int | None) -> None:
        """Let the client read while syncs and checks are stored at the same time."""

        def syncs() -> None:
            for numbers in found:
                self.sync(numbers, deaf)

        def checks() -> None:
            for number in artists:
                self.check(number, deaf)

        work = self.copy.catch_up, syncs, checks
        self.run(self._together(*work))

    @staticmethod
    async def _together(*work: Callable[[], None]) -> None:
        await asyncio.gather(*(asyncio.to_thread(each) for each in work))

    def back_up(self) -> None:
        """Dump all tables and sequences."""
        with self._engine.begin() as connection:
            cursor: Any = connection.connection.cursor()
            tables = self._tables(cursor)
            dump = {}
            for table in tables:
                cursor.copy_expert(f"COPY {table} TO STDOUT", target := BytesIO())
                dump[table] = target.getvalue()
            cursor.execute("SELECT sequencename, last_value FROM pg_sequences")
            self._backup = dump, cursor.fetchall(), [*self.ledger]

    def restore(self, stopped: bool) -> None:
        """Restore the last dump, while the servers are stopped or not."""
        if self._backup is None:
            return
        self.may_miss = True
        if stopped:
            self.run(self._stop(0, 1))
        dump, sequences, ledger = self._backup
        with self._engine.begin() as connection:
            cursor: Any = connection.connection.cursor()
            cursor.execute("SET LOCAL session_replication_role = replica")
            for table, rows in dump.items():
                cursor.execute(f"DELETE FROM {table}")
                cursor.copy_expert(f"COPY {table} FROM STDIN", BytesIO(rows))
            for name, value in sequences:
                cursor.execute("SELECT setval(%s, %s, %s)", [name, value or 1, value is not None])
        self.ledger = [*ledger]
        if stopped:
            self.run(self._start(0, 1))
        else:
            self._announce("")  # they would notice it by themselves within ten seconds

    def restart(self, number: int) -> None:
        """Stop a server and start it again."""
        self.run(self._stop(number))
        self.run(self._start(number))

    def cut(self, sizes: list[int]) -> None:
        """Cut all open streams, and the next connections after so many bytes."""
        self.front.cuts = [*sizes]
        self.run(self.front.cut())

    def ask_for(self, limit: int) -> None:
        """Let the client request so many changes at once."""
        self.copy.limit = limit

    def forget(self) -> None:
        """Let the client begin again."""
        self.copy.place = ""
        self.may_miss = True

    def _name(self, deaf: int | None) -> str:
        return "" if deaf is None else self.servers[deaf]._origin

    @staticmethod
    def _tables(cursor: Any) -> list[str]:
        cursor.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            " AND tablename <> 'alembic_version'"
        )
        return [name for (name,) in cursor.fetchall()]

    async def _stop(self, *numbers: int) -> None:
        await asyncio.gather(*(self.servers[number].stop() for number in numbers))

    async def _start(self, *numbers: int) -> None:
        for number in numbers:
            self.servers[number] = self._server(self.servers[number].port)
            self.servers[number].start()
        await asyncio.gather(*(self.servers[number].opening for number in numbers))

    def _write(self, function: Callable[..., Any], *args: Any) -> Any:
        with Session(self._engine) as session, session.begin():
            result = function(session, *args)
        self._note()
        return result

    def _announce(self, origin: str) -> None:
        with Session(self._engine) as session, session.begin():
            session.execute(select(func.pg_notify(sweeps.CHANNEL, origin)))

    def _note(self) -> None:
        """Add the new entries of the journal to the ledger, which keeps them all."""
        with self._noting, Session(self._engine) as session:
            last = self.ledger[-1]["seq"] if self.ledger else 0
            page = changes.read(session, last, 10_000)
            self.ledger += [orjson.loads(entry.json) for entry in page.entries]

    # What has to be true.

    def compare(self) -> None:
        """Let the client catch up, and compare its copy and the stream with everything else."""
        before = self.copy.full_reads, self.listener.resets
        self.run(asyncio.to_thread(self.copy.catch_up))
        with Session(self._engine) as session:
            place = changes.reach(session).place
            stored = set(session.scalars(select(Album.spotify_id)))
        assert self.copy.place == str(place)
        assert set(self.copy.releases) == stored
        self._announce("")  # nobody lags any more
        listed = self.run(asyncio.to_thread(self._listed, str(place)))
        assert shown(self.copy.releases) == shown(listed)
        self.run(self._compare_stream(listed))
        self.run(self._compare_follower(listed))
        if not self.may_miss:
            assert (self.copy.full_reads, self.listener.resets) == before, "without need"
        self.may_miss = False

    async def _compare_follower(self, listed: dict[str, Any]) -> None:
        with suppress(TimeoutError):
            await until(lambda: shown(self.follower.copy.releases) == shown(listed), SECONDS / 2)
        assert shown(self.follower.copy.releases) == shown(listed)

    def _listed(self, place: str) -> dict[str, Any]:
        reader = HastyCopy(self.address)
        deadline = time.monotonic() + SECONDS
        while reader.place != place:
            assert time.monotonic() < deadline, (reader.place, place)
            reader.read_all()
        return reader.releases

    async def _compare_stream(self, listed: dict[str, Any]) -> None:
        def told() -> list[dict[str, Any]]:
            return [entry for entry in self.ledger if entry["seq"] > self.listener.since]

        with suppress(TimeoutError):
            await until(lambda: self.listener.heard == told(), SECONDS / 2)
        assert self.listener.heard == told()
        last = {entry["album"]: entry["release"] for entry in self.listener.heard}
        for identity in last.keys() & listed.keys():
            credited = [(each["spotify_id"], each["name"]) for each in listed[identity]["artists"]]
            assert last[identity] == summary(listed[identity], credited)


def shown(releases: dict[str, Any]) -> dict[str, Any]:
    """Leave out when releases were last seen, which every sync moves."""
    return {
        identity: {name: value for name, value in fields.items() if name != "last_seen_at"}
        for identity, fields in releases.items()
    }
