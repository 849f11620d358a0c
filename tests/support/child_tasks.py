"""Tasks of child processes. Each child imports this module, so it imports very little."""

import os
import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path


def work(folder: Path, number: int, pipe: Connection) -> None:
    """Report for work, and run until the pipe closes."""
    (folder / f"{number}-{os.getpid()}").touch()
    pipe.send_bytes(b"works")
    pipe.poll(30)


def fail(folder: Path, number: int, pipe: Connection) -> None:
    (folder / f"{number}-{os.getpid()}").touch()
    sys.exit(7)


def ignore_the_end(folder: Path, number: int, pipe: Connection) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    pipe.send_bytes(b"works")
    while True:
        signal.pause()
