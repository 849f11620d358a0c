"""The base of the stand-in's handlers: scripted responses, faults, JSON and pages."""

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
from server.standin.faults.connection_faults import Play, drip, play_for, status_of
from server.standin.faults.definitions import PAGES, TEXTS, Fault
from server.standin.faults.payload_faults import corrupt_text
from server.standin.faults.responses import JSON_TYPE, Answer, answer_to
from server.standin.world import World


def query_of(text: str) -> dict[str, str]:
    """Return the parameters of a query string; the last value of a repeated one counts."""
    return dict(parse_qsl(text, keep_blank_values=True))


class StandInHandler(RequestHandler):
    """A handler that first sends a scripted response or simulates a fault, if there is one."""

    def initialize(self, world: World) -> None:
        """Take the state that this stand-in's handlers share."""
        self.world = world
        self.active_fault: ActiveFault | None = None
        self._gone = asyncio.Event()

    @property
    def paged(self) -> bool:
        """Whether the response is a page, which page faults can affect."""
        return False

    async def prepare(self) -> None:
        """Send the scripted response or simulate the fault for this request, if any.

        This finishes the request, unless the fault only delays or changes the regular response.
        """
        scripted = self.world.scripted(self.request.path)
        if scripted is not None:
            await self.send_answer(scripted)
            return
        self.active_fault = self.world.faults.next_for(self.request.path, paged=self.paged)
        if self.active_fault and self.active_fault.fault.fault not in (*PAGES, *TEXTS):
            self.active_fault.record()
            await self.simulate(self.active_fault.fault)

    def on_connection_close(self) -> None:
        """Stop waiting: the client has disconnected."""
        self._gone.set()

    async def simulate(self, fault: Fault) -> None:
        """Simulate a fault that is not one of a page or its text."""
        answer = answer_to(fault)
        if answer is not None:
            await self.send_answer(answer)
        elif fault.fault == "slow":
            with suppress(TimeoutError):
                await asyncio.wait_for(self._gone.wait(), fault.duration)
        elif fault.fault != "drip":
            self.set_status(status_of(fault), "simulated fault")
            self._detach(play_for(fault))

    def _detach(self, play: Play) -> None:
        """Take the connection from Tornado, and let `play` write on it."""
        self.application.log_request(self)
        self.world.faulty_connections.take(self.detach(), play)

    async def send_answer(self, answer: Answer) -> None:
        """Send a prepared response, after its delay and once nothing holds it."""
        await asyncio.sleep(answer.delay)
        if answer.held is not None:
            await answer.held.wait()
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
        """Send `body` as JSON, with links that point to this stand-in."""
        self.set_status(status)
        self.set_header("Content-Type", JSON_TYPE)
        text = self._with_addresses(orjson.dumps(body))
        text = self._with_text_fault(text)
        if self.active_fault and self.active_fault.fault.fault == "drip":
            headers = list(self._headers.get_all())
            seconds = self.active_fault.fault.duration
            self._detach(partial(drip, status=status, headers=headers, body=text, seconds=seconds))
        else:
            self.finish(text)

    def _with_addresses(self, text: bytes) -> bytes:
        """Return the text with the addresses at which this stand-in can be reached."""
        shown, base = (self.world.shown_url or self.world.base_url), self.world.base_url
        for path in SHOWN:
            text = text.replace(f"{ORIGIN}{path}".encode(), f"{shown}{path}".encode())
        return text.replace(ORIGIN.encode(), base.encode())

    def _with_text_fault(self, right: bytes) -> bytes:
        """Return the text with this request's text fault, if any, and record that it occurred."""
        if self.active_fault is None or self.active_fault.fault.fault not in TEXTS:
            return right
        wrong = corrupt_text(self.active_fault.fault.fault, right)
        if wrong != right:
            self.active_fault.record()
        return wrong

    def send_page(self, page: bytes, status: int = 200) -> None:
        """Send an HTML page that may not load or run anything from other sites."""
        self.set_status(status)
        policy = "default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'"
        self.set_header(
            "Content-Security-Policy", f"{policy}; base-uri 'none'; frame-ancestors 'none'"
        )
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Cache-Control", "no-store")
        self.finish(page)
