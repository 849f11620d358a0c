"""Writes log lines from a thread, so that a blocked log cannot block the program.

Writes block or fail on a pipe without a reader, on a terminal after Ctrl-S and on a full disk; the
code that logs must neither wait nor fail.
"""

import io
import os
import select
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from select import PIPE_BUF

MOST_WAITING = 4 * 1024 * 1024  # characters in lines that are not written yet
PAUSE_SECONDS = 0.005  # between writes: one write of many lines costs less than many writes
CLOSE_SECONDS = 1.0  # for the remaining lines when the program ends


class LogWriter(io.TextIOBase):
    """A text stream on a descriptor; its `write` takes one whole line, never waits and never fails.

    Lines that exceed MOST_WAITING, or that the system rejects, are dropped and counted in
    `dropped`. Once MOST_WAITING is reached, lines are dropped until half of it is written. The line
    `describe(count)` is written in place of dropped lines.
    """

    def __init__(self, descriptor: int, encoding: str = "utf-8") -> None:
        self.dropped = 0
        self.describe: Callable[[int], str] = lambda count: f"{count} log lines dropped\n"
        self._descriptor = descriptor
        self._encoding = encoding
        self._queue: SimpleQueue[str | int | None] = SimpleQueue()  # an int counts dropped lines
        self._accepted = self._done = 0  # characters
        self._unreported = 0  # dropped lines that are not in the queue as a number yet
        self._counting = threading.Lock()
        self._is_torn = False  # the last write ended within a line
        self._failed = False
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def write(self, line: str) -> int:
        """Queue a line, or drop it; returns its length either way."""
        room = MOST_WAITING - (self._accepted - self._done) - len(line)
        if self._unreported or room < 0:
            if room < (MOST_WAITING // 2 if self._unreported else 0):
                self._drop(1, 1)
                return len(line)
            if missing := self._take_unreported():
                self._queue.put(missing)
        self._accepted += len(line)
        self._queue.put(line)
        return len(line)

    def isatty(self) -> bool:
        """Return whether the descriptor is a terminal."""
        return os.isatty(self._descriptor)

    def close(self) -> None:
        """Write the waiting lines, for at most CLOSE_SECONDS, and end the thread."""
        if not self.closed:
            self._queue.put(None)
            self._thread.join(CLOSE_SECONDS)  # a stuck thread ends with the program
        super().close()

    def _drop(self, lines: int, unreported: int) -> None:
        with self._counting:
            self.dropped += lines
            self._unreported += unreported

    def _take_unreported(self) -> int:
        with self._counting:
            count, self._unreported = self._unreported, 0
        return count

    def _run(self) -> None:
        is_open = True
        while is_open:
            batch = [self._queue.get()]
            with suppress(Empty):
                while batch[-1] is not None:
                    batch.append(self._queue.get_nowait())
            is_open = batch[-1] is not None
            self._write(batch)
            if is_open:
                time.sleep(PAUSE_SECONDS)

    def _write(self, batch: list[str | int | None]) -> None:
        """Write in portions of whole lines that a pipe takes atomically (up to PIPE_BUF bytes)."""
        together: list[tuple[str | int, bytes]] = []
        size = 0
        for item in batch:
            data = self._encoded(item or "")
            if together and size + len(data) > PIPE_BUF:
                self._send(together)
                together, size = [], 0
            together.append((item or "", data))
            size += len(data)
        self._send(together)
        if not self._failed and self._unreported and self._queue.empty():
            missing = self._take_unreported()
            self._send([(missing, self._encoded(missing))])

    def _encoded(self, item: str | int) -> bytes:
        text = item if isinstance(item, str) else self.describe(item)
        return text.encode(self._encoding, "backslashreplace")

    def _send(self, items: list[tuple[str | int, bytes]]) -> None:
        """Write lines completely, or drop them if the system rejects them."""
        lines = [each for each, _ in items if isinstance(each, str) and each]
        data = b"".join(data for _, data in items)
        try:
            self._write_all(b"\n" + data if self._is_torn and data else data)
            self._failed = False
        except OSError:  # the disk is full, or the reader has gone
            self._failed = True
            missing = sum(each for each, _ in items if isinstance(each, int))
            self._drop(len(lines), len(lines) + missing)
        finally:
            self._done += sum(map(len, lines))

    def _write_all(self, data: bytes) -> None:
        """Write all bytes, also if another process has made the descriptor non-blocking."""
        while data:
            try:
                count = os.write(self._descriptor, data)
            except BlockingIOError:
                room = select.poll()
                room.register(self._descriptor, select.POLLOUT)
                room.poll()
                continue
            self._is_torn = count < len(data) and data[count - 1] != ord("\n")
            data = data[count:]
