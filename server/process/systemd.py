"""Notifies a service manager, such as systemd, that the server is ready, alive or stopping.

Source: freedesktop.org/software/systemd/man/sd_notify.html, its section on the protocol.
"""

import os
import socket
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager, suppress
from typing import Self

from tornado.ioloop import PeriodicCallback

PINGS = 3  # signs of life within the manager's timeout


class Notifier:
    """Sends notifications to a datagram socket.

    `address` is a path, or `@` with an abstract name, or "" to send nothing. After `patience`
    seconds without a sign of life the manager restarts the server; 0 means never.
    """

    def __init__(self, address: str = "", patience: float = 0) -> None:
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self.patience = patience

    @classmethod
    def of(cls, environment: MutableMapping[str, str]) -> Self:
        """Take the address out of the environment: it is for this process only."""
        address = environment.pop("NOTIFY_SOCKET", "")
        meant_for = environment.pop("WATCHDOG_PID", "")
        microseconds = environment.pop("WATCHDOG_USEC", "")
        if not address.startswith(("/", "@")):  # such as vsock:, for virtual machines
            return cls()
        ours = meant_for in ("", str(os.getpid())) and microseconds.isdecimal()
        return cls(address, int(microseconds) / 1e6 if ours else 0)

    def ready(self) -> None:
        """Notify that the server listens."""
        self._send(f"READY=1\nMAINPID={os.getpid()}")

    def alive(self) -> None:
        """Send a sign of life."""
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """Notify that the server has begun to stop."""
        self._send("STOPPING=1")

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Send signs of life from the running loop, if the manager expects them."""
        if not self.patience:
            yield
            return
        pings = PeriodicCallback(self.alive, self.patience / PINGS * 1000)
        pings.start()
        try:
            yield
        finally:
            pings.stop()

    def _send(self, message: str) -> None:
        if not self._address:
            return
        with (
            suppress(OSError),  # the manager has ended or does not read: serving matters more
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel,
        ):
            channel.setblocking(False)
            channel.sendto(message.encode(), self._address)
