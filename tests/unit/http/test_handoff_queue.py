"""How requests that wait for Tornado take turns with the lane, and with each other."""

import asyncio
import socket
from collections.abc import Iterator
from functools import partial

import pytest

from server.http.connections.handoff_queue import ENTRY_BYTES, HandoffQueue, QueuedRequest

MOST = 1_000_000


class Desk:
    """Notes what begins and what is dropped."""

    def __init__(self) -> None:
        self.queue = HandoffQueue(MOST)
        self.begun: list[str] = []
        self.clients: dict[str, socket.socket] = {}
        self._servers: dict[str, socket.socket] = {}

    def ask(self, client: str, name: str, size: int = 100) -> None:
        self._servers[name], self.clients[name] = socket.socketpair()
        for each in (self._servers[name], self.clients[name]):
            each.setblocking(False)
        begin = partial(self.begun.append, name)
        self.queue.add(client, QueuedRequest(self._servers[name], size, begin))

    @property
    def dropped(self) -> list[str]:
        return [name for name, server in self._servers.items() if server.fileno() < 0]

    def close(self) -> None:
        for each in (*self.clients.values(), *self._servers.values()):
            each.close()

    def reset(self, name: str) -> None:
        """Go without reading what was sent, as TCP clients reset (unix(7))."""
        self._servers[name].send(b"unread")
        self.clients[name].close()

    async def finish(self) -> list[int]:
        """How many have begun after each turn of the loop, until none waits."""
        counts = [len(self.begun)]
        while len(self.queue):
            await asyncio.sleep(0)
            counts.append(len(self.begun))
        return counts


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.close()


@pytest.mark.gen_test
async def test_one_request_begins_in_each_turn_of_the_loop(desk: Desk) -> None:
    for number in range(4):
        desk.ask("a", f"a{number}")
    assert desk.begun == ["a0"]
    assert await desk.finish() in ([1, 1, 2, 3, 4], [1, 2, 3, 4])
    assert desk.begun == ["a0", "a1", "a2", "a3"]
    await asyncio.sleep(0)
    desk.ask("a", "later")
    assert desk.begun[-1] == "later"


@pytest.mark.gen_test
async def test_a_client_with_many_requests_keeps_no_other_waiting_for_all_of_them(
    desk: Desk,
) -> None:
    for number in range(50):
        desk.ask("greedy", f"greedy{number}")
    desk.ask("b", "b")
    desk.ask("c", "c")
    await desk.finish()
    assert desk.begun.index("b") <= 2
    assert desk.begun.index("c") <= 3
    assert len(desk.begun) == 52


@pytest.mark.gen_test
async def test_beyond_its_bytes_the_client_with_the_most_requests_loses_the_newest(
    desk: Desk,
) -> None:
    size = MOST // 8 - ENTRY_BYTES
    for number in range(9):  # of which the first begins at once, and the others just fit
        desk.ask("greedy" if number % 4 else "other", str(number), size)
    assert desk.queue.size == MOST
    desk.ask("other", "small", 1)
    assert desk.dropped == ["7"]
    assert desk.queue.size <= MOST
    await desk.finish()
    assert desk.queue.size == 0
    assert "small" in desk.begun


@pytest.mark.gen_test
async def test_a_request_that_fails_to_begin_takes_no_turn_of_others(desk: Desk) -> None:

    def fail() -> None:
        raise ValueError("it cannot begin")

    desk.ask("a", "first")
    desk.queue.add("a", QueuedRequest(desk.clients["first"], 0, fail))
    desk.ask("a", "last")
    errors: list[BaseException] = []
    handler = asyncio.get_running_loop().set_exception_handler
    handler(lambda _, context: errors.append(context["exception"]))
    await desk.finish()
    assert desk.begun == ["first", "last"]
    assert [str(each) for each in errors] == ["it cannot begin"]


@pytest.mark.gen_test
async def test_a_client_that_has_gone_is_not_answered_and_one_that_has_only_ended_is(
    desk: Desk,
) -> None:
    for name in ("first", "gone", "ended"):
        desk.ask("a", name)
    desk.reset("gone")
    desk.clients["ended"].shutdown(socket.SHUT_WR)
    await desk.finish()
    assert desk.begun == ["first", "ended"]
    assert desk.dropped == ["gone"]


@pytest.mark.gen_test
async def test_at_the_end_what_waits_is_dropped(desk: Desk) -> None:
    for number in range(3):
        desk.ask("a", str(number))
    desk.queue.close()
    assert desk.dropped == ["1", "2"]
    assert (len(desk.queue), desk.queue.size) == (0, 0)
