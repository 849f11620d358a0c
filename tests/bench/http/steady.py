"""Load at a constant rate: `python -m tests.bench.http.steady PORT RATE SECONDS PATH`.

Each request is due at a moment of its own, evenly apart, whether those before it are answered or
not; its latency counts from that moment. So a server that stands still is charged for all who
would have come meanwhile, which is what "corrected for coordinated omission" means.
"""

import gc
import json
import re
import select
import socket
import sys
import time
from collections import deque

CONNECTIONS = 32
NAP = 20e-6  # seconds; so far this leaves its core to others
WARM_UP = 0.5  # seconds that are not counted
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


class Client:
    """A connection; `due` are the requests under way or waiting on it, the oldest first."""

    def __init__(self, port: int, request: bytes) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.due: deque[float] = deque()
        self._request = request
        self._left = 0
        self._buffer = bytearray(256 * 1024)

    def ask(self, due: float) -> None:
        """Ask now, or as soon as what was asked before is answered."""
        self.due.append(due)
        if len(self.due) == 1:
            self.socket.send(self._request)

    def read(self) -> float | None:
        """The latency in seconds if an answer is whole now."""
        count = self.socket.recv_into(self._buffer)
        if not count:
            raise ConnectionError("the server has closed a connection")
        self._left = (self._left or self._whole_length()) - count
        if self._left > 0:
            return None
        latency = time.perf_counter() - self.due.popleft()
        if self.due:
            self.socket.send(self._request)
        return latency

    def _whole_length(self) -> int:
        """Bytes of the answer that begins in the buffer; its head comes in one piece."""
        end = self._buffer.find(b"\r\n\r\n") + 4
        found = LENGTH.search(self._buffer, 0, end)
        if found is None or not self._buffer.startswith(b"HTTP/1.1 200 "):
            raise ValueError(f"an answer of another kind: {bytes(self._buffer[:200])!r}")
        return end + int(found[1])


def run(port: int, rate: float, seconds: float, path: str) -> list[float]:
    """Seconds that each request took from the moment it was due."""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    clients = [Client(port, request) for _ in range(CONNECTIONS)]
    by_number = {each.socket.fileno(): each for each in clients}
    poll = select.epoll()
    for number in by_number:
        poll.register(number, select.EPOLLIN)
    latencies: list[float] = []
    count, answered, total = 0, 0, round(rate * (seconds + WARM_UP))
    skipped, began = round(rate * WARM_UP), time.perf_counter()
    while answered < total:
        now = time.perf_counter()
        while count < total and began + count / rate <= now:
            clients[count % CONNECTIONS].ask(began + count / rate)
            count += 1
        ready = poll.poll(0)
        for number, _ in ready:
            latency = by_number[number].read()
            if latency is not None:
                answered += 1
                if answered > skipped:
                    latencies.append(latency)
        if not ready and began + count / rate - time.perf_counter() > NAP:
            time.sleep(NAP)
        if now - began > 3 * (seconds + WARM_UP):
            raise TimeoutError("this rate is more than can be made")
    latencies.append(time.perf_counter() - began)
    return latencies


def main() -> None:
    gc.disable()
    port, rate, seconds, path = sys.argv[1:]
    latencies = run(int(port), float(rate), float(seconds), path)
    whole, latencies = latencies[-1], sorted(latencies[:-1])

    def at(share: float) -> float:
        return latencies[min(int(share * len(latencies)), len(latencies) - 1)] * 1000

    made = round(float(rate) * (float(seconds) + WARM_UP)) / whole
    quantiles = {"p50": at(0.5), "p99": at(0.99), "p999": at(0.999), "worst": latencies[-1] * 1000}
    print(json.dumps({"rate": made, **quantiles}))


if __name__ == "__main__":
    main()
