"""The same work done once for all who want it at the same time."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

from server.database.admission import Admission

Made = TypeVar("Made")


class SingleFlight(Generic[Made]):
    """Runs one task for each key; who asks for a key meanwhile waits for its task.

    Each that waits needs room in `admission`.
    """

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._tasks: dict[Hashable, asyncio.Task[Made]] = {}

    async def do(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, Made]]) -> Made:
        """Return what `work` returns; it goes on when those who wait for it are cancelled.

        Raises Overloaded, or what `work` raises.
        """
        with self._admission.enter():
            task = self._tasks.get(key)
            if task is None:
                task = self._tasks[key] = asyncio.create_task(work())
                task.add_done_callback(lambda _: self._tasks.pop(key, None))
            return await asyncio.shield(task)
