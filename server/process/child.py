"""A child process that is started again whenever it dies, until it is told to stop."""

import asyncio
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection
from typing import Any

import structlog

EARLY_SECONDS = 10.0  # one that dies within so long of its start is started again after a pause
FIRST_PAUSE = 1.0  # seconds; twice as long after each further such death
LONGEST_PAUSE = 30.0
BEAT_SECONDS = 1.0  # how often a child says that its loop turns

log = structlog.get_logger()


class Child:
    """Runs `target(*arguments, pipe)` in a fresh interpreter, as number `number` in the log.

    The child sends a message once it works, which sets `works`, and may send more to show that it
    lives: `missed` is set to 0 by each. It never gets one: the end of the pipe tells it to stop, so
    it also stops when we are killed. `died` is called each time it has.
    """

    def __init__(
        self,
        number: int,
        target: Callable[..., None],
        *arguments: Any,
        died: Callable[[], None] = lambda: None,
    ) -> None:
        self._number = number
        self._died = died
        self._target = target
        self._arguments = arguments
        self._process: Any = None
        self._pipe: Connection | None = None
        self._stopping = asyncio.Event()
        self.works = asyncio.Event()
        self.missed = 0

    async def run(self) -> None:
        """Keep it running until `stop`."""
        pause = FIRST_PAUSE
        while not self._stopping.is_set():
            started = time.monotonic()
            try:
                self._start()
            except OSError as error:  # no memory, no room for one more
                died_of: dict[str, Any] = {"reason": str(error)}
            else:
                died_of = await self._end()
            if self._stopping.is_set():
                return
            early = time.monotonic() - started < EARLY_SECONDS
            again = pause if early else 0
            log.error("process_died", process=self._number, **died_of, restart_seconds=again)
            if early:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), pause)
            pause = min(2 * pause, LONGEST_PAUSE) if early else FIRST_PAUSE

    def stop(self) -> None:
        """Tell it to stop; `run` returns when it has."""
        self._stopping.set()
        self._close_pipe()
        if self._process is not None and not self.works.is_set():
            self._process.terminate()  # it may be importing, which nobody has to wait for

    def kill(self, reason: str) -> None:
        """End it at once, whatever it is at."""
        if self._process is not None and self._process.is_alive():
            log.error("process_killed", process=self._number, reason=reason)
            self._process.kill()

    def _start(self) -> None:
        """Start it with SIGINT blocked: a Ctrl-C must not end it while it is still importing."""
        context = get_context("spawn")
        self.works.clear()
        resource_tracker.ensure_running()  # or the first start would, and unblock the signal
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=self._target, args=(*self._arguments, self._number, theirs)
        )
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            self._process.start()
        except OSError:
            self._close_pipe()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
            theirs.close()
        asyncio.get_running_loop().add_reader(self._pipe.fileno(), self._hear)

    def _hear(self) -> None:
        assert self._pipe is not None
        try:
            self._pipe.recv_bytes()
        except (EOFError, OSError):
            asyncio.get_running_loop().remove_reader(self._pipe.fileno())
            return
        self.missed = 0
        self.works.set()

    async def _end(self) -> dict[str, Any]:
        """Wait for its end; what it died of."""
        ended, loop = asyncio.Event(), asyncio.get_running_loop()
        loop.add_reader(self._process.sentinel, ended.set)
        await ended.wait()
        loop.remove_reader(self._process.sentinel)
        self._process.join()
        self._close_pipe()
        self._died()
        code = self._process.exitcode
        died_of = {"signal": signal.Signals(-code).name} if code < 0 else {"exit_code": code}
        return {"pid": self._process.pid, **died_of}

    def _close_pipe(self) -> None:
        if self._pipe is not None:
            asyncio.get_running_loop().remove_reader(self._pipe.fileno())
            self._pipe.close()
            self._pipe = None
