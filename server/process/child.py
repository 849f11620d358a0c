"""A child process that is restarted whenever it dies, until it is stopped."""

import asyncio
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection
from typing import Any

import structlog

EARLY_SECONDS = 10.0  # a child that dies sooner after its start is restarted after a pause
FIRST_PAUSE = 1.0  # seconds; doubled after each further early death
LONGEST_PAUSE = 30.0
BEAT_SECONDS = 1.0  # between two signs of life of a child

log = structlog.get_logger()


class Child:
    """Runs `target(*arguments, pipe)` in a fresh interpreter, as number `number` in the log.

    The child sends a message once it works, which sets `works`, and may send more as signs of life:
    each sets `missed` to 0. The parent sends nothing: it closes the pipe to stop the child, which
    therefore also stops if the parent is killed. `died` is called after each death.
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
        """Start the child, and restart it whenever it dies, until `stop`."""
        pause = FIRST_PAUSE
        while not self._stopping.is_set():
            started = time.monotonic()
            try:
                self._start()
            except OSError as error:  # no memory, or too many processes
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
        """Stop the child; `run` returns when it has ended."""
        self._stopping.set()
        self._close_pipe()
        if self._process is not None and not self.works.is_set():
            self._process.terminate()  # it may still be importing: do not wait for it

    def kill(self, reason: str) -> None:
        """Kill the child at once."""
        if self._process is not None and self._process.is_alive():
            log.error("process_killed", process=self._number, reason=reason)
            self._process.kill()

    def _start(self) -> None:
        """Start the child with SIGINT blocked: a Ctrl-C must not end it while it is importing."""
        context = get_context("spawn")
        self.works.clear()
        resource_tracker.ensure_running()  # else the first start does, and unblocks SIGINT
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
        asyncio.get_running_loop().add_reader(self._pipe.fileno(), self._receive)

    def _receive(self) -> None:
        assert self._pipe is not None
        try:
            self._pipe.recv_bytes()
        except (EOFError, OSError):
            asyncio.get_running_loop().remove_reader(self._pipe.fileno())
            return
        self.missed = 0
        self.works.set()

    async def _end(self) -> dict[str, Any]:
        """Wait until the child has ended; return its process id and exit code or signal."""
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
