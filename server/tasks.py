"""Background work, and the one place that keeps the error of a part from stopping the others."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Iterable
from functools import partial
from typing import Any, Generic, TypeVar

import structlog
from tornado.ioloop import PeriodicCallback

from server.errors import DatabaseError

Job = Callable[[], Awaitable[None] | None]
Told = TypeVar("Told")
Instead = TypeVar("Instead")
Result = TypeVar("Result")

log = structlog.get_logger()


class Tasks:
    """Holds on to tasks, logs those that crash, and ends them all."""

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
        """Cancel what still runs, and wait for its end."""
        await end(self._tasks)


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
    """Run each of `jobs` again and again: the job, and the seconds from one start to the next.

    A job that takes longer is not started again before it has ended. One that raises is logged and
    runs again at its next turn, see `attempt`.
    """

    def __init__(self, jobs: Iterable[tuple[Job, float]]) -> None:
        self._timers = [
            PeriodicCallback(partial(self._do, job), seconds * 1000) for job, seconds in jobs
        ]
        self._under_way: set[asyncio.Future[None]] = set()

    @property
    def are_running(self) -> bool:
        """Whether they have been started, and not been stopped since."""
        return all(timer.is_running() for timer in self._timers)

    def start(self) -> None:
        """Begin; each job runs for the first time when its seconds are over."""
        for timer in self._timers:
            timer.start()

    async def stop(self) -> None:
        """Start no job any more; cancel those under way, and wait for their end."""
        for timer in self._timers:
            timer.stop()
        await end(self._under_way)

    async def _do(self, job: Job) -> None:
        task = asyncio.ensure_future(attempt(job))
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


async def attempt(job: Job) -> None:
    """Run a job that will run again; log what it raises instead of raising it.

    A DatabaseError is a warning (`database_unavailable`), since the database comes back by itself.
    Any other error is one that nobody foresaw: `task_crashed`, with its traceback.
    """
    try:
        await _run(job)
    except DatabaseError as error:
        log.warning("database_unavailable", reason=str(error), task=_name_of(job))
    except Exception:
        log.exception("task_crashed", task=_name_of(job))


async def attempt_each(*jobs: Job) -> None:
    """Run all jobs, one after the other, whatever one of them raises.

    Raises the first DatabaseError when all have run, for the caller to try again; every other error
    is logged as by `attempt`.
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


def attempt_now(tell: Callable[[], Told], instead: Instead) -> Told | Instead:
    """Return what `tell` returns, or `instead` if it raises, which is logged (`task_crashed`)."""
    try:
        return tell()
    except Exception:
        log.exception("task_crashed", task=_name_of(tell))
        return instead


async def _run(job: Job) -> None:
    if (pending := job()) is not None:
        await pending


def _name_of(job: Callable[..., Any]) -> str:
    """A function's name for the log, such as PayloadCache.refresh."""
    while isinstance(job, partial):
        job = job.args[0] if job.args and callable(job.args[0]) else job.func
    return getattr(job, "__qualname__", type(job).__name__)


def _log_a_crash(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("task_crashed", exc_info=error)
