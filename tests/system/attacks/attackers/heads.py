"""Heads that are long, slow, or odd."""

import asyncio
from collections import Counter
from itertools import cycle

from tests.system.attacks.attackers.wire import Target, Told, answer, flood, get, left, push, send

LONG = 250_000
NAMES = ("Accept-Encoding", "Accept")
TLS_HELLO = bytes.fromhex("16030102000100") + bytes(300)
ODD = (
    b"GET http://[ HTTP/1.1\r\nHost: test\r\n\r\n",
    TLS_HELLO,
    b"GET /api/artists/ HTTP/1.1\r\nHost: test\r\nConnection: TE, close, x\r\n\r\n",
    b"GET /api/artists/ HTTP/1.1\r\nHost: test\r\nConnection: " + b"a," * 4000 + b"b\r\n\r\n",
    b"\0" * 1000,
    b"GET /?" + b"&" * 2000 + b" HTTP/1.1\r\nHost: test\r\n\r\n",
    b"GET /api/artists/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
)


async def long_values(target: Target, most: int, size: int = LONG) -> Told:
    """Send long values of negotiation, and long names, each another one."""

    def make(number: int) -> bytes:
        text = f"{number}," + "x" * size
        if number % 3 == 2:
            return get("/api/artists/", f"X{number}{'y' * size}: 1\r\n")
        return get("/api/artists/", f"{NAMES[number % 3]}: {text}\r\n")

    return await flood(target, make, most=most)


async def long_cookies(target: Target, size: int = 230_000) -> Told:
    """Send many cookies, and a long chain of proxies."""
    cookies = "; ".join(f"c{number}=v" for number in range(size // 9))
    chain = ", ".join(["10.0.0.1"] * (size // 10))
    requests = (
        get("/", f"Cookie: {cookies}\r\n"),
        get("/api/artists/", f"X-Forwarded-For: {chain}\r\n"),
        get("/", f"X-Forwarded-For: {chain}\r\n"),
    )
    return await flood(target, lambda number: requests[number % 3])


async def trickles(target: Target, count: int, size: int = 240_000, pause: float = 0.05) -> Told:
    """Send much of a head on many connections, and then a byte at a time."""
    wires = await target.crowd(count)
    start = b"GET /api/artists/ HTTP/1.1\r\nHost: test\r\nX: " + b"x" * size
    await asyncio.gather(*(send(wire, start) for wire in wires))
    while not target.is_over:
        push(wires, b"x")
        await asyncio.sleep(pause)
    return {"connections": len(wires), "left": left(wires)}


async def odd(target: Target, clients: int = 4) -> Told:
    """Send what is hardly a request, on one connection after the other."""
    seen: Counter[str] = Counter()

    async def client(number: int) -> None:
        for request in cycle(ODD[2 * number :] + ODD[: 2 * number]):
            if target.is_over:
                return
            try:
                wire = await target.connect()
            except OSError:
                seen["refused"] += 1
                continue
            await send(wire, request)
            seen[await answer(wire, 0.1)] += 1
            wire.close()

    await asyncio.gather(*(client(number) for number in range(clients)))
    return dict(seen)


async def tags(target: Target, size: int = 200_000) -> Told:
    """Ask whether the answer has changed, with a giant list of tags."""
    many = ", ".join(f'"{number:06}"' for number in range(size // 10))
    sized = ", ".join(f'"{number:06}"' for number in range(1_400))
    requests = (
        get("/api/artists/", f"If-None-Match: {many}\r\n"),
        get("/api/artists/", f"If-None-Match: {sized}\r\n"),
    )
    return await flood(target, lambda number: requests[number % 2])
