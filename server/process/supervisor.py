"""The parent of several workers: holds what they share, starts, restarts and stops them."""

import asyncio
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from server.config import runtime_folder
from server.config.addresses import EmbeddedDatabase
from server.config.settings import Settings
from server.database.executor import Database
from server.database.supervisor import DatabaseSupervisor
from server.http.connections.sockets import reserved
from server.observability import count_files
from server.process.child import BEAT_SECONDS, Child

STOP_SECONDS = 8.0  # how long a worker may take to stop
CONNECTIONS = 8  # to the database, at most for each worker
SPARE_CONNECTIONS = 28  # for commands

log = structlog.get_logger()


async def supervise(
    settings: Settings,
    stop: asyncio.Event,
    started: Callable[[int], None],
    stopping: Callable[[], None],
    patience: float = 0,
) -> None:
    """Run `settings.processes` workers until `stop` is set.

    `started` is called with the port once all workers answer, `stopping` when the stop begins. The
    embedded database belongs to this process, so that it outlives every worker. A worker whose loop
    has not turned for `patience` seconds is killed and restarted; 0 turns that off. Raises
    AddressUnavailable.
    """
    with reserved(settings.host, settings.port) as port, _folder() as folder:
        database = _embedded(settings)
        supervising: asyncio.Task[None] | None = None
        if database is not None:
            supervisor = DatabaseSupervisor(database)
            await supervisor.try_to_start()  # before a worker can start it
            supervising = asyncio.create_task(supervisor.supervise())
        settings = settings.model_copy(update={"port": port})
        children = _children(settings, folder)
        running = [asyncio.create_task(child.run()) for child in children]
        tasks = [asyncio.create_task(_report_start(children, port, started))]
        if patience:
            tasks.append(asyncio.create_task(_kill_stuck(children, patience)))
        try:
            await stop.wait()
            stopping()
        finally:
            for task in tasks:
                task.cancel()
            await _end(children, running)
            if supervising is not None and database is not None:
                supervising.cancel()
                await asyncio.wait([supervising])
                database.close()
    log.info("server_stopped")


@contextmanager
def _folder() -> Iterator[Path]:
    """Create the folder of the workers' counters, by which each reports the sums of all."""
    folder = runtime_folder.make("freshet-metrics-")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _children(settings: Settings, folder: Path) -> list[Child]:
    return [
        Child(number, _work, settings, folder, died=partial(count_files.forget, folder, number))
        for number in range(1, settings.processes + 1)
    ]


def _work(*arguments: Any) -> None:
    """Run a worker. What serves is imported by its process alone."""
    from server.process import worker

    worker.main(*arguments)


def _embedded(settings: Settings) -> Database | None:
    address = settings.database_url
    if not isinstance(address, EmbeddedDatabase):
        return None
    connections = CONNECTIONS * settings.processes + SPARE_CONNECTIONS
    return Database(address, {"max_connections": str(connections)})


async def _report_start(children: list[Child], port: int, started: Callable[[int], None]) -> None:
    for child in children:
        await child.works.wait()
    started(port)


async def _kill_stuck(children: list[Child], patience: float) -> None:
    """Kill workers whose loop is stuck, so that they are restarted."""
    while True:
        await asyncio.sleep(BEAT_SECONDS)  # not by the clock: it advances while frozen
        for child in children:
            child.missed += 1
            if child.works.is_set() and child.missed * BEAT_SECONDS >= patience:
                child.kill(f"its loop has not turned for {patience:g} s")


async def _end(children: list[Child], running: list["asyncio.Task[None]"]) -> None:
    """Stop all workers at the same time; kill those that do not stop in time."""
    for child in children:
        child.stop()
    _, slow = await asyncio.wait(running, timeout=STOP_SECONDS)
    if slow:
        for child in children:
            child.kill("it did not stop in time")
        await asyncio.wait(slow)
