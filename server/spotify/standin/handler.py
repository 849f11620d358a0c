"""What every handler of the stand-in can do: play the script, read the query, answer JSON."""

import asyncio
from http.client import responses
from typing import Any
from urllib.parse import parse_qsl

import orjson
from tornado.web import RequestHandler

from server.spotify.standin.objects import ORIGIN
from server.spotify.standin.world import Answer, World

JSON_TYPE = "application/json; charset=utf-8"


def query_of(text: str) -> dict[str, str]:
    """The parameters of a query string; of a repeated one the last value counts."""
    return dict(parse_qsl(text, keep_blank_values=True))


class StandInHandler(RequestHandler):
    """Answers from the script where a test has written one for this path."""

    def initialize(self, world: World) -> None:
        """Take the world that this stand-in's handlers share."""
        self.world = world

    async def prepare(self) -> None:
        """Send the scripted answer, if there is one; the request then is finished."""
        scripted = self.world.scripted(self.request.path)
        if scripted is not None:
            await self._play(scripted)

    async def _play(self, answer: Answer) -> None:
        await asyncio.sleep(answer.delay)
        self.set_status(answer.status, responses.get(answer.status, "Unknown"))
        if isinstance(answer.body, dict):
            self.set_header("Content-Type", JSON_TYPE)
        for name, value in answer.headers.items():
            self.set_header(name, value)
        body = answer.body if isinstance(answer.body, bytes) else orjson.dumps(answer.body)
        await self.finish(body or None)

    @property
    def query(self) -> dict[str, str]:
        """The request's query parameters."""
        return query_of(self.request.query)

    def send_json(self, body: Any, status: int = 200) -> None:
        """Answer `body` as JSON, its links pointing to this stand-in."""
        self.set_status(status)
        self.set_header("Content-Type", JSON_TYPE)
        text = orjson.dumps(body)
        self.finish(text.replace(ORIGIN.encode(), self.world.base_url.encode()))

    def send_page(self, page: bytes, status: int = 200) -> None:
        """Answer an HTML page, which may neither load nor run anything from elsewhere."""
        self.set_status(status)
        policy = "default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'"
        self.set_header(
            "Content-Security-Policy", f"{policy}; base-uri 'none'; frame-ancestors 'none'"
        )
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Cache-Control", "no-store")
        self.finish(page)
