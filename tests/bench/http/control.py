"""Orders to a process of the bench and its replies: JSON, one a line, over a pair of sockets."""

import asyncio
import json
import socket
import sys
from collections.abc import Awaitable, Callable
from subprocess import DEVNULL
from typing import Any

from tests.bench.http.cores import Cores

REPLY_SECONDS = 120.0

Orders = dict[str, Callable[..., Awaitable[Any]]]


class Servant:
    """A module of ours in a process of its own, which does what it is told."""

    def __init__(self, cores: Cores, module: str, *where: int, **options: Any) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = cores.start(
                [sys.executable, "-m", module, str(theirs.fileno())],
                *where,
                pass_fds=[theirs.fileno()],
                stdout=DEVNULL,
                **options,
            )
        ours.settimeout(REPLY_SECONDS)
        self._socket = ours
        self._file = ours.makefile("rw", encoding="utf-8")

    def tell(self, order: str, **arguments: Any) -> Any:
        """Have an order done. Raises RuntimeError if the process is gone."""
        self._file.write(json.dumps([order, arguments]) + "\n")
        self._file.flush()
        reply = self._file.readline()
        if not reply:
            raise RuntimeError(f"its process ended with {self.process.wait()}")
        return json.loads(reply)

    def close(self) -> None:
        """Its process ends when it hears no more of us."""
        self._file.close()
        self._socket.close()
        self.process.wait()


async def obey(orders: Orders) -> None:
    """Do what the process that started this one says, until it is gone."""
    ours = socket.socket(fileno=int(sys.argv[1]))
    reader, writer = await asyncio.open_connection(sock=ours)
    async for line in reader:
        order, arguments = json.loads(line)
        writer.write(json.dumps(await orders[order](**arguments)).encode() + b"\n")
        await writer.drain()
    writer.close()
