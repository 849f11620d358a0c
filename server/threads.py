"""A pool of threads for blocking calls."""

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

NICER = 10

P = ParamSpec("P")
T = TypeVar("T")


class Threads(Executor):
    """Up to `most` threads, for which the end of the process does not wait.

    ThreadPoolExecutor always joins its threads at exit, so that one frozen database server would
    keep the process from ending. With `gives_way` the threads run at a lower priority than the
    loop, which programs started by them would inherit.
    """

    def __init__(self, most: int, *, gives_way: bool = True) -> None:
        self._most = most
        self._gives_way = gives_way
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._futures: set[Future[Any]] = set()
        self.closed = False

    @property
    def waiting(self) -> int:
        """The number of calls that wait for a thread."""
        return 0 if self.closed else self._work.qsize()

    @property
    def busy(self) -> int:
        """The number of calls that are running."""
        return max(len(self._futures) - self.waiting, 0)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call a function in one of the threads. Raises RuntimeError after `close`."""
        if self.closed:
            raise RuntimeError("this pool has been closed")
        future: Future[T] = Future()
        self._futures.add(future)
        future.add_done_callback(self._futures.discard)
        self._work.put(lambda: _settle(future, lambda: fn(*args, **kwargs)))
        if len(self._threads) < min(self._most, len(self._futures)):
            thread = threading.Thread(target=self._run, name="database", daemon=True)
            self._threads.append(thread)
            thread.start()
        return future

    async def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call a function in one of the threads and await its result in the loop."""
        return await asyncio.get_running_loop().run_in_executor(self, function, *arguments)

    def _run(self) -> None:
        if self._gives_way:
            give_way()
        while (job := self._work.get()) is not None:
            job()
            del job  # or its arguments would stay in memory until the next one
        self._work.put(None)

    def close(self, seconds: float) -> None:
        """Cancel waiting calls, and wait `seconds` at most for running ones."""
        self.closed = True
        for future in tuple(self._futures):
            future.cancel()
        self._work.put(None)
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))


def _settle(future: "Future[T]", function: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(function())
    except BaseException as error:
        future.set_exception(error)


def give_way() -> None:
    """Lower the priority of the calling thread, so that the loop runs first on a shared core.

    A thread that runs C code without Python's lock, such as the database driver, could otherwise
    keep the loop's core for some milliseconds. Only on Linux does each thread have its own
    niceness, which applies within the process's group. Sources: setpriority(2) and sched(7).
    """
    if sys.platform == "linux":
        niceness = os.getpriority(os.PRIO_PROCESS, 0) + NICER
        os.setpriority(os.PRIO_PROCESS, 0, niceness)
