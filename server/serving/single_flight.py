"""The same work done once for all who want it at the same time."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

Made = TypeVar("Made")


class SingleFlight(Generic[Made]):
    """Runs one task for each key; callers that ask for a key meanwhile wait for its task."""

    def __init__(self) -> None:
        self._tasks: dict[Hashable, asyncio.Task[Made]] = {}

    async def do(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, Made]]) -> Made:
        """Return what `work` returns; it goes on when those who wait for it are cancelled.

        Raises what `work` raises.
        """
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = asyncio.create_task(work())
            task.add_done_callback(lambda task: self._has_ended(key, task))
        return await asyncio.shield(task)

    def cancel(self) -> None:
        """Cancel all work."""
        for task in self._tasks.values():
            task.cancel()

    def _has_ended(self, key: Hashable, task: "asyncio.Task[Made]") -> None:
        del self._tasks[key]
        if not task.cancelled():
            task.exception()  # it is no loss if all who wanted to know are gone
