"""Requests as fast as answers come, each of them another one, or a strange one."""

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from tests.system.attacks.attackers.wire import LARGEST, Target, Told, flood, get

SORTS = ("released", "-released", "seen", "-seen", "name", "-name")
UPGRADE = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
UPGRADE += "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
FORM = "Content-Type: application/x-www-form-urlencoded\r\n"
PATHS = ("/auth/logout/", "/api/sync/", "/api/artists/", "/auth/callback/", "/nowhere")


async def junk(target: Target, most: int = 9000) -> Told:
    """Ask for the same with a parameter that means nothing, each another one."""
    return await flood(target, lambda number: get(f"/api/artists/?junk={number}"), most=most)


async def queries(target: Target, clients: int = 8) -> Told:
    """Ask what has never been asked and takes the longest to make."""

    def make(number: int) -> bytes:
        text = quote(f"{number:x}é" + "e" * (90 - len(f"{number:x}")))
        path = ("/api/artists/", "/api/albums/")[number % 2]
        sort = SORTS[number % 6]
        return get(
            f"{path}?q={'' if number % 3 else text}&include=markets&release_limit=200&sort={sort}"
            f"&released_after={1900 + number % 100}-01-{1 + number // 100 % 28:02}"
            f"&exclude=versions".replace("q=&", ""),
            "Accept-Encoding: br\r\n",
        )

    return await flood(target, make, clients)


async def feeds(target: Target, clients: int = 8) -> Told:
    """The same of the feeds and the pages."""

    def make(number: int) -> bytes:
        day = f"{1900 + number % 100}-01-{1 + number // 100 % 28:02}"
        path = ("/feeds/albums.atom", "/feeds/albums.ics", "/feeds/albums.json", "/")[number % 4]
        return get(f"{path}?released_after={day}&release_limit=200", "Accept-Encoding: br\r\n")

    return await flood(target, make, clients)


async def days(target: Target) -> Told:
    """Ask for one day after the other, in and out of reach."""
    today = datetime.now(UTC).date()

    def make(number: int) -> bytes:
        day = today - timedelta(days=number % 400)
        return get(f"/api/albums/?at={day}&released_before={1950 + number // 400 % 100}")

    return await flood(target, make)


async def paths(target: Target, clients: int = 4) -> Told:
    """Ask for addresses at which there is nothing, each another one."""

    def make(number: int) -> bytes:
        path = (
            f"/nowhere/{number}",
            f"/api/artists/{number + 10**9}/",
            f"/api/albums/{number:022}/",
            f"/artists/{number:022}/",
            f"/static/{number}.css",
            f"/problems/{number}",
        )[number % 6]
        return get(path)

    return await flood(target, make, clients)


async def dialects(target: Target, clients: int = 8) -> Told:
    """Speak HTTP/1.0, HTTP/2 with prior knowledge, and WebSocket."""
    requests = (
        b"GET /api/artists/ HTTP/1.0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9),
        get("/api/artists/", UPGRADE),
    )
    return await flood(target, lambda number: requests[number % 3], clients)


async def ranges(target: Target, clients: int = 8) -> Told:
    """Ask for thousands of pieces of the largest answer, and of a file."""
    pieces = ",".join(f"{number}-{number}" for number in range(1000))
    requests = (
        get(LARGEST, f"Range: bytes={pieces}\r\n"),
        get("/static/freshet.css", f"Range: bytes={pieces}\r\n"),
        get("/static/freshet.css", "Range: bytes=0-\r\n"),
    )
    return await flood(target, lambda number: requests[number % 3], clients)


async def posts(target: Target, clients: int = 8) -> Told:
    """Send bodies to all kinds of addresses, of which some are too large."""

    def make(number: int) -> bytes:
        body = b"address=" + b"%41" * (2_500, 20_000)[number % 7 == 0]
        fields = f"{FORM}Content-Length: {len(body)}\r\n"
        return get(PATHS[number % 5], fields, "POST") + body

    return await flood(target, make, clients)


async def metrics(target: Target, clients: int = 8) -> Told:
    """Ask for what is made anew each time."""
    requests = tuple(
        map(get, ("/metrics", "/readyz", "/status", "/api/status", "/api/openapi.json"))
    )
    return await flood(target, lambda number: requests[number % 5], clients)
