"""An HTTP client for a server in this process; it can also send malformed requests."""

import asyncio
from typing import Any, Protocol

from tornado.httpclient import HTTPResponse

from tests.support.http_client import new_client


class Server(Protocol):
    """A server in this process."""

    @property
    def port(self) -> int: ...


class Client:
    """An HTTP client that shows what came over the wire."""

    def __init__(self, freshet: Server) -> None:
        self.freshet: Any = freshet
        self.http = new_client()

    async def fetch(self, path: str, method: str = "GET", **headers: str) -> HTTPResponse:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.fetch(
            f"http://127.0.0.1:{self.freshet.port}{path}",
            method=method,
            headers=names,
            raise_error=False,
            decompress_response=False,
            follow_redirects=False,
            allow_nonstandard_methods=True,
        )

    async def raw(self, request: bytes) -> bytes:
        """Send bytes as they are; returns the response."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.freshet.port)
        writer.write(request)
        await writer.drain()
        answer = await asyncio.wait_for(reader.read(), 30)
        writer.close()
        return answer
