"""Memory has owners: each has a bound in bytes, which docs/operating.md states."""

import asyncio
import gc
import re
import subprocess
import sys
import time
import tracemalloc
from dataclasses import fields
from typing import Any

import pytest
from sqlalchemy import text
from tornado.http1connection import HTTP1Connection
from tornado.iostream import IOStream

from server.app.application import Application
from server.catalog.journal import JournalEntry, JournalPage, JournalReach, Place
from server.config import memory_budget
from server.config.memory_budget import DEFAULT, SHARES, MemoryBudget, divide
from server.database.admission import REQUEST_BYTES
from server.http.connections import incomplete_bodies
from server.http.fast_lane import CONNECTION_BYTES
from server.http.head_cache import HeadCache
from server.http.wire_response import WireResponse
from server.serving.hot_queries import HotQueries
from server.serving.lru import ByteLRU
from server.serving.payload import Representation
from server.serving.response_store import ResponseStore, StoredResponse
from server.serving.streams.broadcast import LISTENER_BYTES
from server.serving.streams.ring import Ring
from tests.support.paths import ROOT
from tests.support.raw_http import exchange
from tests.support.settings import MakeSettings
from tests.support.sockets import quiet_server
from tests.support.waiting import until

GUIDE = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
SECTION = GUIDE.split("\n## Memory\n", 1)[1].split("\n## ", 1)[0]
WARM = b"GET /api/artists/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
BOUNDS = {
    "serving/response_store": DEFAULT.responses,
    "http/head_cache": DEFAULT.head_cache,
    "serving/hot_queries": DEFAULT.hot_queries,
    "serving/portions": DEFAULT.portions,
    "following/my_releases": DEFAULT.mine,
    "serving/streams/ring": DEFAULT.ring,
    "serving/streams/broadcast": DEFAULT.listeners,
    "database/admission": DEFAULT.waiting,
    "http/connections/incomplete_heads": DEFAULT.heads,
    "http/connections/incomplete_bodies": DEFAULT.bodies,
    "http/fast_lane": DEFAULT.connections,
    "http/connections/backlog": DEFAULT.unsent,
    "http/connections/handoff_queue": DEFAULT.handoff_queue,
}

start = quiet_server(3)


def test_the_table_of_the_guide_has_each_owner_with_its_bound() -> None:
    rows = re.findall(r"^\| [^|]+ \| `([a-z_/]+)` \| ([0-9.]+) \|", SECTION, re.MULTILINE)
    assert sum(BOUNDS.values()) == DEFAULT.total
    assert dict(rows) == {owner: f"{size / memory_budget.MB:.1f}" for owner, size in BOUNDS.items()}
    assert all((ROOT / "server" / f"{owner}.py").exists() for owner in BOUNDS)
    assert f"takes up to {memory_budget.PROGRAM_MB} MB" in SECTION
    assert f"{DEFAULT.listeners // LISTENER_BYTES} streams" in SECTION
    assert f"{DEFAULT.waiting // REQUEST_BYTES} requests" in SECTION
    assert f"{DEFAULT.bodies // incomplete_bodies.REQUEST_BYTES} requests" in SECTION
    connections = f"{DEFAULT.connections // CONNECTION_BYTES:,}".replace(",", " ")
    assert f"{connections} connections" in SECTION


@pytest.mark.parametrize("megabytes", [memory_budget.LEAST_MB, 200, 1000])
def test_the_program_and_all_owners_fit_together(megabytes: int) -> None:
    budget = divide(megabytes)
    whole = memory_budget.PROGRAM_MB * memory_budget.MB + budget.total * memory_budget.GAPS
    assert whole <= megabytes * memory_budget.MB
    assert all(getattr(budget, each.name) > 0 for each in fields(MemoryBudget))
    assert sum(getattr(SHARES, each.name) for each in fields(MemoryBudget)) <= 100


def test_each_owner_is_given_its_share(make_settings: MakeSettings) -> None:
    freshet = Application(make_settings(memory_mb=400))
    budget = divide(400)
    cache, broadcast = freshet.cache, freshet.broadcast
    assert cache.responses._max_bytes == budget.responses
    assert cache.portions._max_bytes == budget.portions
    assert freshet.own.my_releases._max_bytes == budget.mine
    assert cache.hot_queries._max_count_bytes == budget.hot_queries // 2
    assert broadcast._max_bytes == budget.ring
    assert broadcast._audience._max_streams == budget.listeners // LISTENER_BYTES
    assert freshet.head_cache._most == budget.head_cache
    assert freshet.admission.most == budget.waiting // REQUEST_BYTES
    assert freshet.backlog.bound == budget.unsent
    assert freshet.web_server._memory == budget
    freshet.upstream.transport.close()
    freshet.upstream.short_transport.close()
    freshet.database.close()


@pytest.mark.gen_test
async def test_requests_that_wait_for_the_database_are_bounded_and_warm_answers_go_on(
    start: Any,
) -> None:
    freshet = await start(memory_mb=memory_budget.LEAST_MB)
    most = freshet.admission.most
    answers: list[bytes] = []

    async def ask(number: int) -> None:
        head = WARM.replace(b"artists/", b"changes/?limit=%d" % (number + 1))
        answers.append(await exchange(freshet.port, [head], quiet=20))

    with freshet.database.engine.connect() as other:
        other.execute(text("LOCK TABLE changes"))
        waiting = [asyncio.create_task(ask(number)) for number in range(most)]
        await until(lambda: freshet.admission.waiting == most)
        await asyncio.gather(*(ask(most + number) for number in range(5)))
        assert len(answers) == 5
        assert all(answer.startswith(b"HTTP/1.1 503") for answer in answers)
        assert all(b"/problems/server-busy" in answer for answer in answers)
        assert all(b"Retry-After: 2" in answer for answer in answers)
        warm = await exchange(freshet.port, [WARM])
        assert warm.startswith(b"HTTP/1.1 200")
    await asyncio.gather(*waiting)
    assert all(answer.startswith(b"HTTP/1.1 200") for answer in answers[5:])
    assert freshet.admission.waiting == 0


@pytest.mark.gen_test
async def test_bodies_that_do_not_end_are_bounded_and_the_oldest_go_first(start: Any) -> None:
    freshet = await start(memory_mb=memory_budget.LEAST_MB)
    most = divide(memory_budget.LEAST_MB).bodies // incomplete_bodies.REQUEST_BYTES
    half = b"POST /auth/logout/ HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf"
    wires = []
    for _ in range(most + 5):
        reader, writer = await asyncio.open_connection("127.0.0.1", freshet.port)
        writer.write(half)
        wires.append((reader, writer))
        await asyncio.sleep(0.01)
    application = freshet.web_server._application
    await until(lambda: len(application.bodies) == most)
    for reader, _ in wires[:5]:
        assert await asyncio.wait_for(reader.read(), 30) == b""
    for reader, writer in wires[5:]:
        writer.write(b" done")
        assert (await asyncio.wait_for(reader.readline(), 30)).startswith(b"HTTP/1.1 403")
    assert len(application.bodies) == 0
    for _, writer in wires:
        writer.close()


@pytest.mark.gen_test
async def test_connections_are_bounded_and_the_most_silent_go_first(start: Any) -> None:
    freshet = await start()
    lane = freshet.web_server.lane
    assert lane is not None
    lane._most = 100
    silent = [await asyncio.open_connection("127.0.0.1", freshet.port) for _ in range(100)]
    await until(lambda: len(lane.connections) == 100)
    one_too_many, extra = await asyncio.open_connection("127.0.0.1", freshet.port)
    assert await asyncio.wait_for(one_too_many.read(), 30) == b"", "none is silent for long yet"
    for _ in range(2):
        lane.tick()
    warm = await exchange(freshet.port, [WARM])
    assert warm.startswith(b"HTTP/1.1 200")
    await until(lambda: silent[0][0].at_eof())
    assert len(lane.connections) <= 100
    assert not silent[-1][0].at_eof()
    for _, writer in (*silent, (None, extra)):
        writer.close()


def entries(first: int, last: int, size: int) -> list[JournalEntry]:
    return [JournalEntry(Place(seq), "added", b"x" * size) for seq in range(first, last + 1)]


def test_the_ring_holds_the_newest_changes_in_so_many_bytes() -> None:
    most = 100_000
    ring = Ring(JournalPage(entries(1, 50, 3000), JournalReach(1, 50, 0)), 1000, most)
    assert most * 8 // 10 < ring.size <= most
    first = ring.after(0)[0].seq
    assert 1 < first < 50
    assert ring.covers(first - 1)
    assert not ring.covers(first - 2), "the change before was not held"
    assert ring.add(JournalPage(entries(51, 60, 3000), JournalReach(1, 60, 0))) == 10
    assert ring.size <= most
    assert ring.newest == 60
    assert not ring.covers(first - 1)


def test_the_ring_holds_the_newest_change_whatever_its_size() -> None:
    ring = Ring(JournalPage(entries(1, 3, 3000), JournalReach(1, 3, 0)), 1000, 100)
    assert [each.seq for each in ring.after(2)] == [3]
    assert ring.covers(2)
    assert not ring.covers(1)


def test_a_cache_in_bytes_drops_what_was_used_least_recently() -> None:
    cache: ByteLRU[str, bytes] = ByteLRU(10, lambda key, value: len(key) + len(value))
    for key in "abc":
        cache.put(key, b"xx")
    assert cache.get("a") == b"xx"
    cache.put("d", b"xxx")
    assert [cache.get(key) for key in "abcd"] == [b"xx", None, b"xx", b"xxx"]
    cache.put("d", b"x" * 10)
    assert cache.get("d") is None, "it is larger than all"
    assert (len(cache), cache.size) == (2, 6)


class Counted:
    """What a memo tells of the answers that were sent."""

    def __init__(self) -> None:
        self.hits = 0

    def __call__(self, _route: str, _method: str, _status: int, hits: int) -> None:
        self.hits += hits


def test_what_the_memo_has_forgotten_is_not_held_until_the_next_tick() -> None:
    responses, hot_queries, counted = ResponseStore(time.monotonic), HotQueries(), Counted()
    head_cache = HeadCache(responses, hot_queries, counted, time.time, time.monotonic, most=200_000)
    sent = 0
    for number in range(40):
        href = f"/api/artists/?limit={number + 1}"
        body = b"%d" % number + b"x" * 10_000
        responses.put(
            (href, "identity"),
            StoredResponse(Representation(body, '"x"', ()), time.monotonic() + 9),
        )
        hot_queries.learn("/api/artists/", f"limit={number + 1}", href)
    tracemalloc.start()
    for number in range(40):
        head = b"GET /api/artists/?limit=%d HTTP/1.1\r\nHost: x\r\n\r\n" % (number + 1)
        answer = head_cache.learn(head)
        assert isinstance(answer, WireResponse)
        head_cache.wire(answer)
        answer.hits += 1
        sent += 1
        assert head_cache.size <= 200_000
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 400_000
    head_cache.tick()
    assert counted.hits == sent, "none was lost from the counts"


FREE_SOME = """
import os
from server.app.heap import malloc_trim, return_memory
from tests.bench.http.process import resident
large, small = [], []
for _ in range(2000):
    large.append(bytearray(60_000))
    small.append(bytearray(1000))
full = resident(os.getpid())
del large
freed = resident(os.getpid())
return_memory()
print(malloc_trim() is not None, full, freed, resident(os.getpid()))
"""


def test_freed_memory_is_given_back_to_the_system() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FREE_SOME], cwd=ROOT, capture_output=True, text=True, check=True
    )
    can, full, freed, left = done.stdout.split()
    assert float(full) > 120
    if can == "True":
        assert float(freed) > float(full) - 20, "the allocator keeps it between what is in use"
        assert float(left) < float(full) - 100


@pytest.mark.slow
@pytest.mark.gen_test
async def test_connections_that_have_ended_leave_nothing_for_a_collection_of_garbage(
    start: Any,
) -> None:
    freshet = await start()
    requests = (
        b"GET /api/events HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /api/sync/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf",
        b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /api/ar",
    )
    for request in requests:  # what is made once is made
        await exchange(freshet.port, [request])
    gc.collect()
    gc.disable()
    try:
        for request in requests:
            await asyncio.gather(*(exchange(freshet.port, [request]) for _ in range(20)))
            await asyncio.sleep(0.1)
            gc.set_debug(gc.DEBUG_SAVEALL)
            gc.collect()
            gc.set_debug(0)
            left = [each for each in gc.garbage if isinstance(each, IOStream | HTTP1Connection)]
            gc.garbage.clear()
            assert not left, request
    finally:
        gc.set_debug(0)
        gc.enable()
