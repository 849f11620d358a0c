"""A front of a server that refuses everything once, loses places, and records what was asked."""

import asyncio
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

JOURNAL = ("/api/changes/", "/api/events")
PLACE = re.compile(r"(?<=[?&]after=)[^& ]*")
LOST = "999999999"  # a place that no journal reaches
SECONDS_TO_WAIT = 2  # how long to wait: longer than any client does at first if it is not told
REFUSAL = (
    f"HTTP/1.1 %d Later\r\nRetry-After: {SECONDS_TO_WAIT}\r\nContent-Length: 0\r\n"
    "Access-Control-Allow-Origin: *\r\nAccess-Control-Expose-Headers: *\r\n"
    "Connection: close\r\n\r\n"
)


@dataclass
class Exchange:
    """A request, and the status of its answer; `at` is in seconds."""

    agent: str
    target: str
    fields: dict[str, str]
    status: int
    at: float

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


class RecordingFront:
    """Passes requests on to the port `to`; each agent's first request of a path is refused.

    The answer says to wait: 503 for the journal, else 429. The next request for the journal gets a
    place that is out of reach. A request has no body, and is the last of its connection.
    """

    def __init__(self) -> None:
        self.to = 0
        self.exchanges: list[Exchange] = []
        self._talks: set[asyncio.Task[None]] = set()

    async def run(self, started: threading.Event) -> None:
        """Serve until `end` is called."""
        server = await asyncio.start_server(self._start, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        started.set()
        await self._over.wait()
        server.close()
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    def end(self) -> None:
        """Let `run` end; to be called from another thread."""
        self._loop.call_soon_threadsafe(self._over.set)

    def of(self, agent: str | tuple[str, ...]) -> list[Exchange]:
        """The exchanges of an agent, by the beginning of its name, or one of several."""
        return [each for each in self.exchanges if each.agent.startswith(agent)]

    def _start(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.create_task(self._talk(reader, writer))
        self._talks.add(talk)
        talk.add_done_callback(self._talks.discard)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError, EOFError):
                await self._answer(reader, writer)
        finally:
            await _close(writer)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        line, *lines = head.strip().split("\r\n")
        fields = {name.lower(): value for name, value in (each.split(": ", 1) for each in lines)}
        agent, target = fields.get("user-agent", ""), line.split()[1]
        made = Exchange(agent, target, fields, 0, time.monotonic())
        times = sum(each.path == made.path for each in self.of(agent))
        self.exchanges.append(made)
        if times == 0:
            made.status = 503 if made.path in JOURNAL else 429
            writer.write((REFUSAL % made.status).encode())
            await writer.drain()
            return
        if times == 1 and made.path in JOURNAL:
            head = PLACE.sub(LOST, head, count=1)
        await self._pass_on(head, made, writer)

    async def _pass_on(self, head: str, made: Exchange, writer: asyncio.StreamWriter) -> None:
        there, to_there = await asyncio.open_connection("127.0.0.1", self.to)
        alone = re.sub(r"\r\nconnection:[^\r]*", "", head, flags=re.IGNORECASE)
        to_there.write(alone.replace("\r\n", "\r\nConnection: close\r\n", 1).encode())
        try:
            first = await there.readline()
            made.status = int(first.split()[1])
            writer.write(first)
            while data := await there.read(65536):
                writer.write(data)
                await writer.drain()
        finally:
            await _close(to_there)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


@contextmanager
def recording_front() -> Iterator[RecordingFront]:
    """Run a front in a thread."""
    front, started = RecordingFront(), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(front.run(started)))
    thread.start()
    started.wait()
    try:
        yield front
    finally:
        front.end()
        thread.join()
