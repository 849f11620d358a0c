"""What runs in the background for as long as the server does."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog

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
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


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
