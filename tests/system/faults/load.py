"""Clients that ask again and again on kept connections, and tell what became of each request."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

REQUEST = b"GET /api/artists/ HTTP/1.1\r\nHost: test\r\nAccept-Encoding: gzip\r\n\r\n"
CONNECTIONS = 16
FRESH = 4  # of them make a connection for each request


class Closed(Exception):
    """The connection ended before a byte of an answer came."""


class Load:
    """`connections` clients of the servers on `ports`, who go to the next one if one refuses.

    Each asks again `pause` seconds after an answer.

    `failed` are requests that got no whole answer with 200. `again` counts those that were sent
    anew, for the server had closed the idle connection that they were sent on, `cut` those of them
    that were the first of a connection; `refused` are connections that nobody wanted, `reset` those
    that a server was about to take when it ended: as nothing has been asked, the next one is tried.
    """

    def __init__(
        self, ports: Sequence[int], connections: int = CONNECTIONS, pause: float = 0
    ) -> None:
        self._ports = ports
        self._connections = connections
        self._pause = pause
        self._over = False
        self.answered = self.again = self.cut = self.refused = self.reset = 0
        self.failed: list[str] = []
        self.seconds: list[float] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        clients = [asyncio.create_task(self._client(each)) for each in range(self._connections)]
        try:
            yield
        finally:
            self._over = True
            await asyncio.gather(*clients)

    async def _client(self, number: int) -> None:
        """Until it is over, or no server is left."""
        wire, asked = None, 0
        while not self._over:
            if wire is None:
                wire, asked = await self._connect(number), 0
                if wire is None:
                    return
            began = time.monotonic()
            try:
                keeps = await asyncio.wait_for(self._ask(*wire), 20)
            except Closed:
                self.again += 1
                self.cut += not asked
                keeps = False
            except (OSError, TimeoutError, EOFError, ValueError) as error:
                self.failed.append(repr(error))
                keeps = False
            else:
                self.answered += 1
                self.seconds.append(time.monotonic() - began)
            asked += 1
            if self._pause:
                await asyncio.sleep(self._pause)
            if not keeps or number < FRESH:
                wire[1].close()
                wire = None
        if wire is not None:
            wire[1].close()

    async def _connect(
        self, number: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        for place in range(len(self._ports)):
            port = self._ports[(number + place) % len(self._ports)]
            try:
                return await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                self.refused += 1
            except ConnectionResetError:
                self.reset += 1
                if place + 1 == len(self._ports):
                    return await self._connect(number)
        return None

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection may be used again."""
        try:
            writer.write(REQUEST)
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            if error.partial:
                raise
            raise Closed from error
        except ConnectionError as error:
            raise Closed from error
        fields = head.lower()
        length = int(fields.split(b"\r\ncontent-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        if not head.startswith(b"HTTP/1.1 200 "):
            raise ValueError(head.decode())
        return b"\r\nconnection: close" not in fields
