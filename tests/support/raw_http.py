"""Raw bytes over a connection, for requests that no HTTP client would send."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence

from server.app.application import Application

QUIET_SECONDS = 0.25  # after so long without a byte, all that was due has come
VARYING = re.compile(rb"(?<=\r\nDate: )[^\r]+|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


async def quiet(freshet: Application) -> None:
    """Stop background work, so that nothing changes while responses are compared."""
    await freshet.timers.stop()
    await freshet.tasks.stop()


async def exchange(port: int, pieces: Sequence[bytes], quiet: float = QUIET_SECONDS) -> bytes:
    """Send pieces one by one, and read until the server closes or falls silent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        return await said(lambda: reader.read(65536), quiet)
    except ConnectionError:
        return b"<closed>"
    finally:
        writer.close()


async def said(read: Callable[[], Awaitable[bytes]], quiet: float) -> bytes:
    """Read until the end, or until nothing has come for `quiet` seconds.

    The result ends with which of the two happened. Dates and request ids are removed, so that two
    answers can be compared.
    """
    received = bytearray()
    try:
        while chunk := await asyncio.wait_for(read(), quiet):
            received += chunk
        received += b"<closed>"
    except TimeoutError:
        received += b"<open>"
    except ConnectionError:
        received += b"<closed>"
    return VARYING.sub(b"", bytes(received))


async def pipelined(port: int, requests: list[str]) -> bytes:
    """Send all requests at once over one connection; returns all responses."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = " HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    lines = [f"GET {each}{head}\r\n" for each in requests]
    lines[-1] = f"GET {requests[-1]}{head}Connection: close\r\n\r\n"
    writer.write("".join(lines).encode())
    answer = await reader.read()
    writer.close()
    return answer
