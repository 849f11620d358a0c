"""What runs in the background for as long as the server does."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from functools import partial
from typing import Any

import structlog
from tornado.ioloop import PeriodicCallback

from server.errors import DatabaseError

log = structlog.get_logger()


class Tasks:
    """Holds on to tasks, tells of those that crash, and ends them all."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something until it ends, or until `stop`."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(_tell_of_a_crash)

    async def stop(self) -> None:
        """Cancel what still runs, and wait for its end."""
        await end(self._tasks)


class Timers:
    """Do each of `works` again and again: what is done, and how many seconds after the last time.

    What takes longer is not begun anew before it has ended.
    """

    def __init__(self, works: Iterable[tuple[Callable[[], Awaitable[None] | None], float]]) -> None:
        self._timers = [
            PeriodicCallback(partial(self._do, work), seconds * 1000) for work, seconds in works
        ]
        self._under_way: set[asyncio.Future[None]] = set()

    @property
    def are_running(self) -> bool:
        """Whether they have been started, and not been stopped since."""
        return all(timer.is_running() for timer in self._timers)

    def start(self) -> None:
        """Begin; each is done for the first time when its seconds are over."""
        for timer in self._timers:
            timer.start()

    async def stop(self) -> None:
        """Do nothing more; cancel what is under way, and wait for its end."""
        for timer in self._timers:
            timer.stop()
        await end(self._under_way)

    async def _do(self, work: Callable[[], Awaitable[None] | None]) -> None:
        if (pending := work()) is not None:
            task = asyncio.ensure_future(pending)
            self._under_way.add(task)
            try:
                await task
            finally:
                self._under_way.discard(task)


async def end(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Cancel tasks, and wait until each has ended, however it does."""
    ending = tuple(tasks)
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)


async def attempt(work: Callable[[], Awaitable[None]]) -> None:
    """Do something that comes again anyway; if the database cannot be reached, that is told."""
    try:
        await work()
    except DatabaseError as error:
        log.warning("database_unavailable", reason=str(error))


def _tell_of_a_crash(task: "asyncio.Task[None]") -> None:
    """A part that ends by an error we did not foresee must not do so silently."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("task_crashed", exc_info=error)
