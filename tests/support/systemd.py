"""The systemd unit of deploy/, and a service manager that listens to notifications."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.support.paths import ROOT

UNIT = ROOT / "deploy" / "freshet.service"


@contextmanager
def manager(address: str) -> Iterator[Callable[[], list[str]]]:
    """Open a service manager's socket; yields a function that returns new messages."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        channel.setblocking(False)

        def heard() -> list[str]:
            messages = []
            while True:
                try:
                    messages.append(channel.recv(4096).decode())
                except BlockingIOError:
                    return messages

        yield heard


def wait_for(heard: Callable[[], list[str]], start: str, seconds: float = 30) -> list[str]:
    """Collect messages until one begins with `start`."""
    deadline, messages = time.monotonic() + seconds, list[str]()
    while not any(each.startswith(start) for each in messages):
        assert time.monotonic() < deadline, messages
        time.sleep(0.05)
        messages += heard()
    return messages
