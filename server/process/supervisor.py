"""The parent of several processes: what they share, how they start, and how all of them end."""

import asyncio
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import structlog

from server.config import runtime_folder
from server.config.addresses import EmbeddedDatabase
from server.config.settings import Settings
from server.database.executor import Database
from server.database.supervisor import DatabaseSupervisor
from server.http.connections.sockets import reserved
from server.observability import count_files
from server.process import worker
from server.process.child import BEAT_SECONDS, Child

STOP_SECONDS = 8.0  # what a process gets to end by itself
CONNECTIONS = 8  # to the database, a process at most
SPARE_CONNECTIONS = 28  # for commands

log = structlog.get_logger()


async def supervise(
    settings: Settings,
    stop: asyncio.Event,
    started: Callable[[int], None],
    stopping: Callable[[], None],
    patience: float = 0,
) -> None:
    """Run `settings.processes` of them until `stop`; `started` gets the port once all listen.

    The embedded database is ours, so that it outlives each of them. One whose loop has not turned
    for `patience` seconds, if that is not 0, is killed and started again. Raises
    AddressUnavailable.
    """
    with reserved(settings.host, settings.port) as port, _folder() as folder:
        database = _embedded(settings)
        looking_after: asyncio.Task[None] | None = None
        if database is not None:
            supervisor = DatabaseSupervisor(database)
            await supervisor.try_to_start()  # ours before a child can take it
            looking_after = asyncio.create_task(supervisor.supervise())
        settings = settings.model_copy(update={"port": port})
        children = _children(settings, folder)
        running = [asyncio.create_task(child.run()) for child in children]
        tasks = [asyncio.create_task(_tell(children, port, started))]
        if patience:
            tasks.append(asyncio.create_task(_kill_stuck(children, patience)))
        try:
            await stop.wait()
            stopping()
        finally:
            for task in tasks:
                task.cancel()
            await _end(children, running)
            if looking_after is not None and database is not None:
                looking_after.cancel()
                await asyncio.wait([looking_after])
                database.close()
    log.info("server_stopped")


@contextmanager
def _folder() -> Iterator[Path]:
    """Where the processes count, so that each can tell the sums of all, also of those that died."""
    folder = runtime_folder.make("freshet-metrics-")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _children(settings: Settings, folder: Path) -> list[Child]:
    return [
        Child(
            number, worker.main, settings, folder, died=partial(count_files.forget, folder, number)
        )
        for number in range(1, settings.processes + 1)
    ]


def _embedded(settings: Settings) -> Database | None:
    address = settings.database_url
    if not isinstance(address, EmbeddedDatabase):
        return None
    connections = CONNECTIONS * settings.processes + SPARE_CONNECTIONS
    return Database(address, {"max_connections": str(connections)})


async def _tell(children: list[Child], port: int, started: Callable[[int], None]) -> None:
    for child in children:
        await child.works.wait()
    started(port)


async def _kill_stuck(children: list[Child], patience: float) -> None:
    """Kill those whose loop is stuck, so that they are started again."""
    while True:
        await asyncio.sleep(BEAT_SECONDS)  # and not by the clock, which runs on while we are frozen
        for child in children:
            child.missed += 1
            if child.works.is_set() and child.missed * BEAT_SECONDS >= patience:
                child.kill(f"its loop has not turned for {patience:g} s")


async def _end(children: list[Child], running: list["asyncio.Task[None]"]) -> None:
    """Let all stop, at the same time; kill those that do not."""
    for child in children:
        child.stop()
    _, slow = await asyncio.wait(running, timeout=STOP_SECONDS)
    if slow:
        for child in children:
            child.kill("it did not stop in time")
        await asyncio.wait(slow)
