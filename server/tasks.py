"""Background tasks and timers, which keep the error of one part from stopping others."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Iterable
from functools import partial
from typing import Any, Generic, TypeVar

import structlog
from tornado.ioloop import PeriodicCallback

from server.errors import DatabaseError

Job = Callable[[], Awaitable[None] | None]
Value = TypeVar("Value")
Default = TypeVar("Default")
Result = TypeVar("Result")

log = structlog.get_logger()


class Tasks:
    """Holds references to tasks, logs those that raise, and cancels all at the end."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a coroutine until it ends, or until `stop`."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(_log_a_crash)
        return task

    async def stop(self) -> None:
        """Cancel the running tasks and wait until they have ended."""
        await cancel_all(self._tasks)


class SingleFlight(Generic[Result]):
    """Runs one task per key; further callers with that key wait for the same task."""

    def __init__(self) -> None:
        self._tasks: dict[Hashable, asyncio.Task[Result]] = {}

    async def do(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
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

    def _has_ended(self, key: Hashable, task: "asyncio.Task[Result]") -> None:
        del self._tasks[key]
        if not task.cancelled():
            task.exception()  # retrieved, so that asyncio logs nothing if all callers are gone


class Timers:
    """Runs jobs periodically: each of `jobs` has the seconds from one start to the next.

    A job that takes longer is not started again before it has ended. A job that raises is logged by
    `attempt` and runs again the next time.
    """

    def __init__(self, jobs: Iterable[tuple[Job, float]]) -> None:
        self._timers = [
            PeriodicCallback(partial(self._do, job), seconds * 1000) for job, seconds in jobs
        ]
        self._running: set[asyncio.Future[None]] = set()

    @property
    def are_running(self) -> bool:
        """Whether the timers have been started and not been stopped."""
        return all(timer.is_running() for timer in self._timers)

    def start(self) -> None:
        """Start the timers; each job first runs after its interval."""
        for timer in self._timers:
            timer.start()

    async def stop(self) -> None:
        """Stop the timers, cancel running jobs and wait until they have ended."""
        for timer in self._timers:
            timer.stop()
        await cancel_all(self._running)

    async def _do(self, job: Job) -> None:
        task = asyncio.ensure_future(attempt(job))
        self._running.add(task)
        try:
            await task
        finally:
            self._running.discard(task)


async def has_ended(task: asyncio.Task[None], stop: asyncio.Event) -> bool:
    """Wait until a task has ended, or until `stop` is set; return whether the task has ended.

    Raises the error of a task that failed.
    """
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((stopping, task), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if task.done():
        task.result()
    return task.done()


async def cancel_all(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Cancel tasks and wait until all have ended, whatever they raise."""
    ending = tuple(tasks)
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)


async def attempt(job: Job) -> None:
    """Run a periodic job; log what it raises instead of raising it, because it will run again.

    A DatabaseError is logged as the warning `database_unavailable`, any other error, which is
    unexpected, as `task_crashed` with its traceback.
    """
    try:
        await _run(job)
    except DatabaseError as error:
        log.warning("database_unavailable", reason=str(error), task=_name_of(job))
    except Exception:
        log.exception("task_crashed", task=_name_of(job))


async def attempt_each(*jobs: Job) -> None:
    """Run all jobs, one after the other, even if some of them raise.

    Raises the first DatabaseError after all have run, so that the caller can retry. Other errors
    are logged as in `attempt`.
    """
    unavailable: DatabaseError | None = None
    for job in jobs:
        try:
            await _run(job)
        except DatabaseError as error:
            unavailable = unavailable or error
        except Exception:
            log.exception("task_crashed", task=_name_of(job))
    if unavailable is not None:
        raise unavailable


def attempt_now(read: Callable[[], Value], default: Default) -> Value | Default:
    """Return what `read` returns; if it raises, log `task_crashed` and return `default`."""
    try:
        return read()
    except Exception:
        log.exception("task_crashed", task=_name_of(read))
        return default


async def _run(job: Job) -> None:
    if (pending := job()) is not None:
        await pending


def _name_of(job: Callable[..., Any]) -> str:
    """Return a function's name for the log, such as PayloadCache.refresh."""
    while isinstance(job, partial):
        job = job.args[0] if job.args and callable(job.args[0]) else job.func
    return getattr(job, "__qualname__", type(job).__name__)


def _log_a_crash(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("task_crashed", exc_info=error)
