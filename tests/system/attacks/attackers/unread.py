"""Clients that ask for much and read little of it, or nothing."""

import asyncio
from contextlib import suppress

from tests.system.attacks.attackers.wire import LARGEST, Target, Told, answer, get, left, push, send

SMALL = "/api/artists/?limit=1"
TINY = 2048  # bytes of receive buffer
ODD = "X-Odd: 1\r\nX-Odd: 2\r\n"  # a name that comes twice is for Tornado


async def _warm(target: Target) -> None:
    wire = await target.connect()
    for path in (SMALL, LARGEST):
        await send(wire, get(path))
        assert await answer(wire) == "200"
    wire.close()


async def pipelines(target: Target, count: int, *, tornado: bool) -> Told:
    """Ask for a small answer and the largest on each of many connections, and read neither."""
    fields = ODD if tornado else ""
    await _warm(target)
    wires = await target.crowd(count, TINY)
    push(wires, get(SMALL, fields) + get(LARGEST, fields))
    await target.wait()
    return {"connections": len(wires), "left": left(wires)}


async def sips(target: Target, count: int, pause: float, bytes_each: int = 1024) -> Told:
    """Ask for the largest answer on many connections, and take a little of each now and then."""
    await _warm(target)
    wires = await target.crowd(count, TINY)
    push(wires, get(LARGEST))
    while not target.is_over:
        await asyncio.sleep(pause)
        for wire in wires:
            with suppress(OSError):
                wire.recv(bytes_each)
    return {"connections": len(wires), "left": left(wires)}
