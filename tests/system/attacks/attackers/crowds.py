"""Many connections, which say little, come and go, or listen."""

import asyncio
import socket
import struct
from contextlib import suppress

from tests.system.attacks.attackers.wire import Target, Told, get, left, push

RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing is a reset
HALF = b"GET /api/artists/ HTTP/1.1\r\nHost: te"
BODY = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 6000\r\n"


async def half_heads(target: Target, count: int) -> Told:
    """Send the first half of a head on each, and wait."""
    wires = await target.crowd(count)
    push(wires, HALF)
    await target.wait()
    return {"connections": len(wires), "left": left(wires)}


async def listeners(target: Target, count: int, behind: int = 60_000) -> Told:
    """Listen to events on each, with requests behind that are never answered."""
    wires = await target.crowd(count)
    push(wires, get("/api/events") + b"x" * behind)
    served = refused = 0
    await target.wait()
    for wire in wires:
        with suppress(OSError):
            start = wire.recv(20)
            served += start.startswith(b"HTTP/1.1 200")
            refused += start.startswith((b"HTTP/1.1 503", b"HTTP/1.1 429"))
    return {"connections": len(wires), "served": served, "refused": refused}


async def slow_bodies(target: Target, count: int) -> Told:
    """Send a byte of a body now and then."""
    wires = await target.crowd(count)
    push(wires, get("/auth/logout/", BODY, "POST"))
    while not target.is_over:
        push(wires, b"x")
        await asyncio.sleep(0.05)
    return {"connections": len(wires), "left": left(wires)}


async def resets(target: Target, clients: int = 20, kinds: tuple[int, ...] = (0, 1, 2, 3)) -> Told:
    """Connect, and reset: at once, in a head, or before the answer."""
    made = 0

    async def client(number: int) -> None:
        nonlocal made
        while not target.is_over:
            try:
                wire = await target.connect()
            except OSError:
                continue
            push([wire], (b"", HALF, get("/api/artists/"), get("/"))[kinds[number % len(kinds)]])
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            wire.close()
            made += 1

    await asyncio.gather(*(client(number) for number in range(clients)))
    return {"connections": made}
