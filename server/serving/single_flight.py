"""Concurrent calls for the same result share one task."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

Made = TypeVar("Made")


class SingleFlight(Generic[Made]):
    """Runs one task per key; further callers with that key wait for the same task."""

    def __init__(self) -> None:
        self._tasks: dict[Hashable, asyncio.Task[Made]] = {}

    async def do(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, Made]]) -> Made:
        """Return what `work` returns, and raise what it raises.

        The task continues if its callers are cancelled.
        """
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = asyncio.create_task(work())
            task.add_done_callback(lambda task: self._has_ended(key, task))
        return await asyncio.shield(task)

    def cancel(self) -> None:
        """Cancel all tasks."""
        for task in self._tasks.values():
            task.cancel()

    def _has_ended(self, key: Hashable, task: "asyncio.Task[Made]") -> None:
        del self._tasks[key]
        if not task.cancelled():
            task.exception()  # retrieved, so that asyncio logs nothing if all callers are gone
