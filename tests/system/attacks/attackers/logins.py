"""Logins that are begun and never ended, or ended with codes that nobody gave out."""

import asyncio
import re
from collections import Counter

from tests.system.attacks.attackers.wire import Target, Told, answer, flood, get, read_head, send

HOST = "127.0.0.1:5000"  # of PUBLIC_URL
STATE = re.compile(rb"[?&]state=([^&\r]+)")
COOKIE = re.compile(rb"\r\nSet-Cookie: ([^;\r]+)")


async def begun(target: Target, clients: int = 8) -> Told:
    """Begin one login after the other."""

    def make(number: int) -> bytes:
        return get(f"/auth/login/?next=/x{number}", host=HOST)

    return await flood(target, make, clients)


async def made_up(target: Target, pause: float) -> Told:
    """Begin a login and answer it with a code that is made up; so many seconds apart."""
    seen: Counter[str] = Counter()
    while not target.is_over:
        wire = await target.connect()
        await send(wire, get("/auth/login/", host=HOST))
        head = await read_head(wire)
        state, cookie = STATE.search(head), COOKIE.search(head)
        if state is None or cookie is None:
            seen[head[9:12].decode()] += 1
        else:
            path = f"/auth/callback/?code=made-up-{len(seen)}&state={state[1].decode()}"
            await send(wire, get(path, f"Cookie: {cookie[1].decode()}\r\n", host=HOST))
            seen["callback " + await answer(wire)] += 1
        wire.close()
        await asyncio.sleep(pause)
    return dict(seen)
