"""What every handler of the stand-in can do: play script and faults, answer JSON and pages."""

import asyncio
from contextlib import suppress
from functools import partial
from http.client import responses
from typing import Any
from urllib.parse import parse_qsl

import orjson
from tornado.web import RequestHandler

from server.standin.catalogue.spotify_objects import ORIGIN, SHOWN
from server.standin.faults.active_faults import ActiveFault
from server.standin.faults.connection_faults import Play, drip, play_of, status_of
from server.standin.faults.definitions import PAGES, TEXTS, Fault
from server.standin.faults.payload_faults import garble
from server.standin.faults.responses import JSON_TYPE, Answer, answer_to
from server.standin.world import World


def query_of(text: str) -> dict[str, str]:
    """The parameters of a query string; of a repeated one the last value counts."""
    return dict(parse_qsl(text, keep_blank_values=True))


class StandInHandler(RequestHandler):
    """Answers from the script where a test has written one for this path, else meets faults."""

    def initialize(self, world: World) -> None:
        """Take the world that this stand-in's handlers share."""
        self.world = world
        self.met: ActiveFault | None = None
        self._gone = asyncio.Event()

    @property
    def paged(self) -> bool:
        """Whether the answer is a page, so that faults in pages can concern it."""
        return False

    async def prepare(self) -> None:
        """Send the scripted answer or play the fault, if there is one.

        The request then is finished, but for a fault that only delays or spoils the right answer.
        """
        scripted = self.world.scripted(self.request.path)
        if scripted is not None:
            await self.send_answer(scripted)
            return
        self.met = self.world.faults.meet(self.request.path, paged=self.paged)
        if self.met and self.met.fault.fault not in (*PAGES, *TEXTS):
            self.met.spend()
            await self._misbehave(self.met.fault)

    def on_connection_close(self) -> None:
        """Wait no longer: nobody is there to hear the answer."""
        self._gone.set()

    async def _misbehave(self, fault: Fault) -> None:
        answer = answer_to(fault)
        if answer is not None:
            await self.send_answer(answer)
        elif fault.fault == "slow":
            with suppress(TimeoutError):
                await asyncio.wait_for(self._gone.wait(), fault.duration)
        elif fault.fault != "drip":
            self.set_status(status_of(fault), "as a fault has it")
            self._give_away(play_of(fault))

    def _give_away(self, play: Play) -> None:
        """Let Tornado be done with the connection, and `play` on it."""
        self.application.log_request(self)
        self.world.wire.take(self.detach(), play)

    async def send_answer(self, answer: Answer) -> None:
        """Answer what was put down beforehand, after its delay."""
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
        text = self._addressed(orjson.dumps(body))
        text = self._garbled(text)
        if self.met and self.met.fault.fault == "drip":
            headers = list(self._headers.get_all())
            seconds = self.met.fault.duration
            self._give_away(
                partial(drip, status=status, headers=headers, body=text, seconds=seconds)
            )
        else:
            self.finish(text)

    def _addressed(self, text: bytes) -> bytes:
        """Return the text with the addresses at which this stand-in can be reached."""
        shown, base = (self.world.shown_url or self.world.base_url), self.world.base_url
        for path in SHOWN:
            text = text.replace(f"{ORIGIN}{path}".encode(), f"{shown}{path}".encode())
        return text.replace(ORIGIN.encode(), base.encode())

    def _garbled(self, right: bytes) -> bytes:
        """The text with the fault that this request met; that then is spent."""
        if self.met is None or self.met.fault.fault not in TEXTS:
            return right
        wrong = garble(self.met.fault.fault, right)
        if wrong != right:
            self.met.spend()
        return wrong

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
