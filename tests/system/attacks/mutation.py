"""Made-up HTTP: streams of requests, whole and mutilated, the same for the same seed."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random

SEED = "FRESHET_STREAM"  # the environment's: one stream again, instead of all
METHODS = ("GET", "GET", "GET", "HEAD", "HEAD", "OPTIONS", "POST", "PUT", "get", "G@T", "")
VERSIONS = ("HTTP/1.1",) * 12 + ("HTTP/1.0", "HTTP/2.0", "HTTP/1.10", "http/1.1", "")
FIELDS = (
    "Accept-Encoding: gzip",
    "Accept-Encoding: br;q=0.5, gzip;q=0.4",
    "Accept-Encoding: identity;q=0, *",
    "accept-encoding:deflate",
    "If-None-Match: *",
    'If-None-Match: W/"x", "nothing"',
    "If-Modified-Since: Fri, 31 Dec 2100 00:00:00 GMT",
    "Connection: keep-alive",
    "Connection: close",
    "Connection: TE, close",
    "Connection: Content-Length",
    "User-Agent: someone  ",
    "X:",
    "Cookie: a=b; c",
    "Range: bytes=0-10",
    "Accept: text/html",
    "Content-Length: 0",
    "Expect: 100-continue",
    "Upgrade: h2c",
    "Upgrade: websocket",
    "Host: elsewhere",
    "X-Forwarded-For: 192.0.2.1",
    "X-HTTP-Method-Override: DELETE",
    "Origin: null",
    "X: a\r\n folded",
)
# How a body may be told of: so that no two readers disagree, or so that they could.
FRAMES = (
    ("Content-Length: {size}",),
    ("Content-Length: {size}",),
    ("Transfer-Encoding: chunked",),
    ("Transfer-Encoding: chunked",),
    ("Content-Length: {size}", "Transfer-Encoding: chunked"),
    ("Transfer-Encoding: chunked", "Content-Length: {size}"),
    ("Content-Length: 4", "Transfer-Encoding: chunked"),
    ("Content-Length: {size}", "Content-Length: 0"),
    ("Content-Length: {size}, {size}",),
    ("Content-Length: +{size}",),
    ("Content-Length: 0{size}",),
    ("Content-Length : {size}",),
    ("Content-Length: {size} ",),
    ("Content-Length: 0x{size}",),
    ("Transfer-Encoding: xchunked",),
    ("Transfer-Encoding : chunked",),
    ("Transfer-Encoding:\tchunked",),
    (" Transfer-Encoding: chunked",),
    ("Transfer-Encoding: chunked, identity",),
    ("Transfer-Encoding: identity", "Transfer-Encoding: chunked"),
    ("Transfer-Encoding:\x0bchunked",),
    ("Transfer-Encoding\n: chunked",),
    ("X: x\nTransfer-Encoding: chunked",),
    ("X: x\rTransfer-Encoding: chunked",),
    ("Transfer-Encoding:\r\n chunked",),
    ("Expect: 100-continue", "Content-Length: {size}"),
    ("Connection: Transfer-Encoding", "Transfer-Encoding: chunked"),
    ("Upgrade: h2c", "Content-Length: {size}"),
    (),
)
SIZES = ("{:x}", "{:x}", "{:x}", "{:X}", "0{:x}", "{:x};a=b", "{:x} ", "+{:x}", "0x{:x}", "{:x}\n")
SPLINTERS = (
    b"\r",
    b"\n",
    b"\r\n",
    b"\r\n\r\n",
    b"\0",
    b" ",
    b"\t",
    b":",
    b",",
    b"\xff",
    b"?",
    b"#",
)


@dataclass
class Stream:
    """What one client sends: pieces one after the other, then perhaps the end of its half."""

    seed: int
    pieces: list[bytes]
    ends: bool = False
    mutilated: bool = False
    markers: list[str] = field(default_factory=list)

    @property
    def sent(self) -> bytes:
        return b"".join(self.pieces)


def seeds(many: int, first: int) -> Iterator[int]:
    """The numbers of streams to send: `many` from `first` on, or the one in the environment."""
    if alone := os.environ.get(SEED):
        yield int(alone)
    else:
        yield from range(first, first + many)


def is_alone() -> bool:
    """Whether one stream is sent again, so that no numbers are to be looked at."""
    return SEED in os.environ


def again(seed: int, test: str) -> str:
    """How to send a stream once more."""
    return f"again: {SEED}={seed} .venv/bin/python -m pytest -n 0 {test}"


class Maker:
    """Makes the stream of a seed. `target(random, marker)` is what its requests ask for."""

    def __init__(self, seed: int, target: Callable[[Random, str], str]) -> None:
        self._seed = seed
        self._random = Random(seed)
        self._target = target
        self._markers: list[str] = []

    def stream(self, last: bytes) -> Stream:
        """Up to six requests, half of them mutilated, and `last`."""
        random = self._random
        sent = b"".join(self._request(depth=0) for _ in range(random.randint(1, 6)))
        mutilated = random.random() < 0.4
        if mutilated:
            for _ in range(random.randint(1, 3)):
                sent = self._mutilated(sent)
        if random.random() < 0.9:
            sent += last
        cuts = sorted(random.sample(range(1, len(sent)), min(random.choice((0, 1, 5)), 5)))
        pieces = [sent[a:b] for a, b in zip([0, *cuts], [*cuts, len(sent)], strict=True)]
        ends = random.random() < 0.2
        return Stream(self._seed, pieces, ends, mutilated, self._markers)

    def _request(self, depth: int) -> bytes:
        random = self._random
        marker = f"m{self._seed}x{len(self._markers)}m"
        self._markers.append(marker)
        odd = random.random() < 0.3
        lines = [
            f"{random.choice(METHODS if odd else METHODS[:5])} "
            f"{self._target(random, marker)} {random.choice(VERSIONS) if odd else VERSIONS[0]}",
            "Host: freshet",
            *random.sample(FIELDS if odd else FIELDS[:7], random.choice((0, 0, 1, 2, 3))),
        ]
        body = b""
        if odd and random.random() < 0.6:
            body, frame = self._body(depth)
            lines[random.randint(1, len(lines)) :] = frame
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body

    def _body(self, depth: int) -> tuple[bytes, list[str]]:
        """A body, which may be a request itself, and the fields that tell of it."""
        random = self._random
        content = self._request(depth + 1) if depth < 2 and random.random() < 0.6 else b"hello"
        frame = random.choice(FRAMES)
        if any("chunked" in line for line in frame):
            size = random.choice(SIZES).format(len(content)).encode()
            chunked = size + b"\r\n" + content + b"\r\n0\r\n\r\n"
            content = random.choice((chunked, chunked, b"0\r\n\r\n" + content))
        return content, [line.format(size=len(content)) for line in frame]

    def _mutilated(self, sent: bytes) -> bytes:
        random = self._random
        at = random.randrange(len(sent))
        lines = sent.split(b"\r\n")
        line = random.randrange(len(lines))
        match random.randrange(8):
            case 0:  # a byte becomes another
                return sent[:at] + bytes([random.randrange(256)]) + sent[at + 1 :]
            case 1:
                return sent[:at] + sent[at + 1 :]
            case 2:
                return sent[:at] + random.choice(SPLINTERS) + sent[at:]
            case 3:
                return sent[:at] + sent[at + random.randint(1, 40) :]
            case 4:
                return b"\r\n".join([*lines[: line + 1], *lines[line:]])
            case 5:
                random.shuffle(lines)
                return b"\r\n".join(lines)
            case 6:
                return b"\n".join([b"\r\n".join(lines[:line]), b"\r\n".join(lines[line:])])
            case _:
                return sent[:at] + b"x" * random.choice((100, 5_000, 20_000)) + sent[at:]
