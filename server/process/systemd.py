"""Tells a service manager that the server is ready, alive and stopping, as systemd wants it.

Source: freedesktop.org/software/systemd/man/sd_notify.html, its section on the protocol.
"""

import os
import socket
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager, suppress
from typing import Self

from tornado.ioloop import PeriodicCallback

PINGS = 3  # within the time after which the manager loses patience


class Notifier:
    """Sends to the datagram socket `address`, a path or `@` and an abstract name; "" is nobody.

    `patience` is after how many seconds without a sign of life the manager restarts us; 0 is never.
    """

    def __init__(self, address: str = "", patience: float = 0) -> None:
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self.patience = patience

    @classmethod
    def of(cls, environment: MutableMapping[str, str]) -> Self:
        """As the environment tells, where it is deleted: it is meant for this process alone."""
        address = environment.pop("NOTIFY_SOCKET", "")
        meant_for = environment.pop("WATCHDOG_PID", "")
        microseconds = environment.pop("WATCHDOG_USEC", "")
        if not address.startswith(("/", "@")):  # such as vsock:, which is for whole machines
            return cls()
        ours = meant_for in ("", str(os.getpid())) and microseconds.isdecimal()
        return cls(address, int(microseconds) / 1e6 if ours else 0)

    def ready(self) -> None:
        """The server listens."""
        self._send(f"READY=1\nMAINPID={os.getpid()}")

    def alive(self) -> None:
        """The loop that calls this turns."""
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """The server has begun to stop."""
        self._send("STOPPING=1")

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Give signs of life from the running loop, if anybody waits for them."""
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
            suppress(OSError),  # the manager has gone, or does not read; serving goes on
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel,
        ):
            channel.setblocking(False)
            channel.sendto(message.encode(), self._address)
