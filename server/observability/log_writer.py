"""Writes log lines from a thread of its own, so that no reader of the log can stop the program.

A pipe that nobody reads, a terminal after Ctrl-S and a full disk block or refuse writes; whoever
logs must neither wait for them nor fail with them.
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

MOST_WAITING = 4 * 1024 * 1024  # characters, in lines that are not written yet
PAUSE_SECONDS = 0.005  # between writes: many lines at once cost less than each alone
CLOSE_SECONDS = 1.0  # for the last lines, at the end of the program


class LogWriter(io.TextIOBase):
    """A text stream on a descriptor whose `write`, of one whole line, never waits and never fails.

    Lines that find no room, or that the system refuses, are dropped and counted in `dropped`. After
    MOST_WAITING characters no line is accepted until half of them are written. Where lines are
    missing, `describe(count)` gives the line that says so.
    """

    def __init__(self, descriptor: int, encoding: str = "utf-8") -> None:
        self.dropped = 0
        self.describe: Callable[[int], str] = lambda count: f"{count} log lines dropped\n"
        self._descriptor = descriptor
        self._encoding = encoding
        self._queue: SimpleQueue[str | int | None] = SimpleQueue()  # an int: so many are missing
        self._accepted = self._done = 0  # characters
        self._untold = 0  # lines that are dropped and not in the queue as a number yet
        self._counting = threading.Lock()
        self._is_torn = False  # the last write ended within a line
        self._failed = False
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def write(self, line: str) -> int:
        """Accept a line, or drop it."""
        room = MOST_WAITING - (self._accepted - self._done) - len(line)
        if self._untold or room < 0:
            if room < (MOST_WAITING // 2 if self._untold else 0):
                self._drop(1, 1)
                return len(line)
            if missing := self._take_untold():
                self._queue.put(missing)
        self._accepted += len(line)
        self._queue.put(line)
        return len(line)

    def isatty(self) -> bool:
        """Whether people read this."""
        return os.isatty(self._descriptor)

    def close(self) -> None:
        """Write what waits, for CLOSE_SECONDS at most, and end the thread."""
        if not self.closed:
            self._queue.put(None)
            self._thread.join(CLOSE_SECONDS)  # one that is stuck ends with the program
        super().close()

    def _drop(self, lines: int, untold: int) -> None:
        with self._counting:
            self.dropped += lines
            self._untold += untold

    def _take_untold(self) -> int:
        with self._counting:
            count, self._untold = self._untold, 0
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
        """Write as many whole lines at a time as reach a pipe together, whoever else writes."""
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
        if not self._failed and self._untold and self._queue.empty():
            missing = self._take_untold()
            self._send([(missing, self._encoded(missing))])

    def _encoded(self, item: str | int) -> bytes:
        text = item if isinstance(item, str) else self.describe(item)
        return text.encode(self._encoding, "backslashreplace")

    def _send(self, items: list[tuple[str | int, bytes]]) -> None:
        """Write to the end, or drop what the system refuses: later lines may fare better."""
        lines = [each for each, _ in items if isinstance(each, str) and each]
        data = b"".join(data for _, data in items)
        try:
            self._write_all(b"\n" + data if self._is_torn and data else data)
            self._failed = False
        except OSError:  # full, or the reader has gone
            self._failed = True
            missing = sum(each for each, _ in items if isinstance(each, int))
            self._drop(len(lines), len(lines) + missing)
        finally:
            self._done += sum(map(len, lines))

    def _write_all(self, data: bytes) -> None:
        """Write all bytes, also to a descriptor that others have made non-blocking."""
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
