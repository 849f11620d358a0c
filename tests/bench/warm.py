"""Warm requests, against a Tornado handler that only writes the same constant bytes."""

import asyncio
import multiprocessing
import os
import time
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from statistics import median
from typing import Any

import orjson
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from handlers.base import NotFoundHandler
from handlers.payloads import QueryHandler
from server.access_log import AccessLog
from server.catalog.cache import PayloadCache
from server.catalog.query import ArtistsQuery
from server.catalog.snapshot import AlbumEntry, ArtistEntry, Freshness, Snapshot
from server.site import Site
from tests.bench.measure import show

ROUNDS = 9
SECONDS = 1.5
CONNECTIONS = 32


def snapshot() -> Snapshot:
    """Twenty releases of an ordinary size: a body of about 24 kB."""
    at = datetime.now(UTC)
    entries = []
    for number in range(20):
        artist = ArtistEntry(f"a{number}", "Artist", b'{"name":"Artist","uri":"%b"}' % (b"x" * 150))
        album = orjson.dumps({"name": f"Album {number}", "images": "x" * 440})
        entries.append(AlbumEntry("album", at, album, (artist,)))
    return Snapshot(tuple(entries), Freshness(at, at, at, "search", False))


async def warm_cache() -> PayloadCache:
    async def load(_day: str = "") -> Snapshot:
        return snapshot()

    async def compute(function: Any, *arguments: Any) -> Any:
        return function(*arguments)

    cache = PayloadCache(
        load,
        load,
        compute,
        ttl=3600,
        max_age=15,
        interval=lambda: timedelta(hours=1),
        now=lambda: datetime.now(UTC),
        timer=time.monotonic,
    )
    await cache.refresh()
    return cache


class Constant(RequestHandler):
    """What there is to be compared with."""

    def initialize(self, body: bytes) -> None:
        self.body = body

    def get(self) -> None:
        self.write(self.body)


async def serve(ports: "Connection[Any, Any]") -> None:
    """Both servers in one process on one core, so that they differ in nothing else."""
    os.sched_setaffinity(0, {0})
    cache = await warm_cache()
    ready = cache.peek(ArtistsQuery.path, "", "identity")
    assert ready is not None
    body = ready.body
    given = {"cache": cache, "kind": ArtistsQuery}
    routes: list[Any] = [(r"/api/artists/?", QueryHandler, given)]
    ours = Site(routes, AccessLog("summary"), NotFoundHandler)
    theirs = Application([(r"/api/artists/?", Constant, {"body": body})])
    (socket,) = bind_sockets(0, "127.0.0.1")
    HTTPServer(theirs).add_socket(socket)
    ports.send([ours.listen("127.0.0.1", 0), socket.getsockname()[1]])
    ports.send(len(body))
    await asyncio.Event().wait()


def run_server(ports: "Connection[Any, Any]") -> None:
    try:
        import uvloop
    except ImportError:
        asyncio.run(serve(ports))
    else:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(ports))


async def load(port: int) -> float:
    """Requests a second, over keep-alive connections that each ask on when they are answered."""
    end = time.perf_counter() + SECONDS
    request = b"GET /api/artists/ HTTP/1.1\r\nHost: bench\r\n\r\n"

    async def client() -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        count = 0
        while time.perf_counter() < end:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            count += 1
        writer.close()
        return count

    started = time.perf_counter()
    counts = await asyncio.gather(*(client() for _ in range(CONNECTIONS)))
    return sum(counts) / (time.perf_counter() - started)


def main() -> None:
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.Process(target=run_server, args=(theirs,), daemon=True)
    server.start()
    ports, size = ours.recv(), ours.recv()
    os.sched_setaffinity(0, {(os.cpu_count() or 1) - 1})
    rates: list[list[float]] = [[], []]
    for _ in range(ROUNDS):
        for index, port in enumerate(ports):
            rates[index].append(asyncio.run(load(port)))
    server.terminate()
    server.join()
    freshet, constant = median(rates[0]), median(rates[1])
    print(f"Warm requests of {size} bytes, one core each (medians of {ROUNDS} rounds by turns)")
    label = f"Freshet against a constant handler, {freshet:.0f}/s against {constant:.0f}/s"
    show(">= 0.95", freshet / constant, label)


if __name__ == "__main__":
    main()
