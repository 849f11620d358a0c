"""No answer is kept under a key that another client gets wrong, by nginx or by Varnish.

Each key is new. Hostile requests come first, as often as it takes for an answer to be kept; then a
plain client asks for the same, and has to get what Freshet itself answers.
"""

import asyncio
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import count
from random import Random

import pytest

from tests.support.behind_proxies import ProxiedServer, proxied_server
from tests.support.examples import spotify_id
from tests.support.proxies import QUERIES

CODINGS = ("br", "gzip", "identity")
ATTEMPTS = 3  # as often as nginx is asked before it keeps an answer, and once more
PATHS = (
    *("/api/artists/", "/api/artists", "/api/albums/", "/feeds/albums.atom", "/feeds/albums.csv"),
    *("/feeds/albums.json", "/feeds/albums.ics", f"/api/artists/{spotify_id('artist', 1)}/"),
    f"/api/albums/{spotify_id('album', 1)}",
)
PLAIN = ("q=KEY", "limit=2&q=KEY", "q=KEY&offset=1&limit=1", "q=KEY&sort=name", "limit=1&q=KEY&x=y")
HOSTILE_FIELDS: tuple[tuple[str, ...], ...] = (
    ("Host: evil.example",),
    ("Host: evil.example:80",),
    ("X-Forwarded-Host: evil.example",),
    ("X-Forwarded-Proto: https",),
    ("X-Forwarded-Proto: evil",),
    ("X-Forwarded-For: 127.0.0.1", "X-Forwarded-Host: evil.example"),
    ("X-Forwarded-Prefix: /evil",),
    ("X-Forwarded-Port: 1",),
    ("Forwarded: for=127.0.0.1;host=evil.example;proto=https",),
    ("X-Original-URL: /api/nothing",),
    ("X-Rewrite-URL: /api/nothing",),
    ("X-HTTP-Method-Override: POST",),
    ("X-HTTP-Method: DELETE",),
    ("X-Method-Override: HEAD",),
    ("Range: bytes=0-9",),
    ("Range: bytes=5-", "If-Range: x"),
    ("If-None-Match: *",),
    ("If-Modified-Since: Fri, 31 Dec 2100 00:00:00 GMT",),
    ("If-Match: x",),
    ("Accept-Encoding: br;q=0, gzip;q=0",),
    ("Accept-Encoding: zstd, br",),
    ("Accept-Encoding: gzip, br;q=0.000",),
    ("Accept-Encoding: identity;q=0",),
    ("Accept-Encoding: *",),
    ("Accept-Encoding: gzip", "Accept-Encoding: br"),
    ("Accept-Encoding: br", "Accept-Encoding: identity"),
    ("X-Coding: br",),
    ("Accept: text/html",),
    ("Accept-Language: de",),
    ("Origin: https://evil.example",),
    ("Cookie: freshet_session=x",),
    ("Authorization: Basic eDp5",),
    ("Cache-Control: no-cache", "Pragma: no-cache"),
    ("Content-Length: 5",),
    ("Expect: 100-continue", "Content-Length: 0"),
    ("Connection: Host",),
    ("Connection: Accept-Encoding",),
    ("Upgrade: h2c", "Connection: Upgrade"),
    ("X: " + 6000 * "x",),
)
HOSTILE_METHODS = ("GET", "GET", "GET", "HEAD", "OPTIONS", "POST")
VARYING = re.compile(rb"urn:(?:request|uuid):[^\"<]+|(?<=DTSTAMP:)\S+")


proxied = proxied_server(["nginx", "varnish"], "off")


async def connect(port: int, client: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection from an address of the client's own, so that the limits are not met."""
    address = f"127.6.{client // 250}.{client % 250 + 1}"
    return await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))


async def attack(port: int, method: str, target: str, fields: Sequence[str], client: int) -> None:
    """A hostile request, sent until its answer would be kept; what comes back does not matter."""
    lines = [f"{method} {target} HTTP/1.1", *fields]
    if not any(field.startswith("Host:") for field in fields):
        lines.append("Host: test")
    if not any(field.startswith("Connection:") for field in fields):
        lines.append("Connection: close")
    body = "12345" if "Content-Length: 5" in fields else ""
    for _ in range(ATTEMPTS):
        reader, writer = await connect(port, client)
        writer.write(("\r\n".join([*lines, "", ""]) + body).encode())
        with suppress(TimeoutError, ConnectionError):
            await asyncio.wait_for(reader.read(), 0.3)
        writer.close()


def hostile_targets(path: str, query: str) -> list[str]:
    """Requests that some reader could take for the plain one."""
    key = query.partition("KEY")[0] + "KEY"
    return [
        f"{path}?{query}",
        f"{path}?{query}&junk=1",
        f"{path}?junk=1&{query}",
        f"{path}?{query}&limit=5",
        f"{path}?{query}&%6cimit=5",
        f"{path}?l%69mit=1&{query}",
        f"{path}?Limit=1&{query}",
        f"{path}?{query}#&limit=1",
        f"{path}?{query}%00",
        f"{path}?{query};limit=1",
        f"{path}?&&{query}&",
        f"{path}??{query}",
        f"{path}%3F{query}",
        f"{path}?{key}%26limit=1",
        f"/.{path}?{query}",
        f"//{path.lstrip('/')}?{query}",
        f"{path}/../../api/nothing?{query}",
        f"/api/nothing/../..{path}?{query}",
        f"http://evil.example{path}?{query}",
        f"{path.replace('a', '%61', 1)}?{query}",
        f"{path.upper()}?{query}",
    ]


Case = tuple[str, str, tuple[str, ...], str]  # a hostile request, and the plain one it may spoil


def cases(places: Sequence[tuple[str, str]]) -> Iterator[list[Case]]:
    """Of each kind of hostile request those to these paths and queries."""
    for number, fields in enumerate(HOSTILE_FIELDS):
        method = HOSTILE_METHODS[number % len(HOSTILE_METHODS)]
        plain = [f"{path}?{query}" for path, query in places]
        yield [(method, each, fields, each) for each in plain]
    for kind in range(len(hostile_targets("", ""))):
        yield [
            ("GET", hostile_targets(path, query)[kind], (), f"{path}?{query}")
            for path, query in places
        ]
    for query in QUERIES:
        paths = dict.fromkeys(path for path, _ in places)
        yield [("GET", f"{path}?{query}&q=KEY", (), f"{path}?q=KEY") for path in paths]


async def answer(port: int, target: str, coding: str, client: int) -> tuple[bytes, bytes, bytes]:
    """What a plain client gets: status, coding and body."""
    reader, writer = await connect(port, client)
    lines = [f"GET {target} HTTP/1.1", "Host: test", f"Accept-Encoding: {coding}"]
    writer.write("\r\n".join([*lines, "Connection: close", "", ""]).encode())
    head, _, body = (await asyncio.wait_for(reader.read(), 30)).partition(b"\r\n\r\n")
    writer.close()
    said = re.search(rb"(?i)\r\ncontent-encoding: (\w+)", head)
    return head.split()[1], said[1] if said else b"", VARYING.sub(b"", body)


@pytest.mark.slow
def test_no_answer_is_kept_that_another_client_gets_wrong(
    proxied: ProxiedServer, long: bool
) -> None:
    random = Random(0)
    kinds = cases([(path, query) for path in PATHS for query in PLAIN])
    chosen = [each for kind in kinds for each in (kind if long else random.sample(kind, 1))]
    keys, wrong = count(), list[str]()

    async def check(method: str, hostile: str, fields: tuple[str, ...], plain: str) -> None:
        key = next(keys)
        word = f"album%20{key}" if key % 5 == 0 else f"key{key}"
        hostile, plain = hostile.replace("KEY", word), plain.replace("KEY", word)
        await attack(proxied.front.port, method, hostile, fields, key)
        for coding in CODINGS:
            got = await answer(proxied.front.port, plain, coding, key)
            expected = await answer(proxied.direct.port, plain, coding, key)
            if got != expected:
                wrong.append(f"{method} {hostile} {fields}, then {plain} as {coding}: {got}")

    async def client(waiting: Iterator[Case]) -> None:
        for case in waiting:
            await check(*case)

    async def run() -> None:
        waiting = iter(chosen)
        await asyncio.gather(*(client(waiting) for _ in range(4)))

    proxied.run(run())
    print(f"\n{proxied.name}: {len(chosen)} keys, {len(wrong)} wrong")
    assert not wrong, wrong[:3]
