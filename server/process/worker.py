"""One of several processes: it starts, serves until its parent says so or has gone, and stops."""

import asyncio
import os
import resource
import select
import shutil
import signal
from contextlib import suppress
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import structlog
from tornado.ioloop import PeriodicCallback

from server.app import trimming
from server.app.application import Freshet
from server.config.settings import Settings
from server.observability import log
from server.observability.count_files import CountFiles
from server.observability.instruments import Instruments
from server.process import startup, tuning
from server.process.child import BEAT_SECONDS

WARM_SECONDS = 5.0  # after so long it answers even if it has nothing to serve yet
LISTENING, ALIVE = b"listening", b"alive"

logger = structlog.get_logger()


def main(settings: Settings, folder: Path, number: int, parent: Connection) -> None:
    """Serve as process `number`, from 1 on, which each of its log lines tells.

    What is counted goes into files in `folder`.

    Once it listens it says so to its `parent`, and every second that its loop turns. The parent
    says nothing: the end of that pipe is the sign to stop, also when the parent was killed. A
    Ctrl-C of the terminal reaches the parent, too.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    startup.prepare()
    make_ready()
    log.configure(settings.log_format, settings.log_level, process=number)
    counted = Instruments(number, _share_counts(folder, number))
    with asyncio.Runner(loop_factory=fastest_loop()) as runner:
        runner.run(_serve(settings, counted, parent))
    started_by = parent_process()
    if started_by is None or not started_by.is_alive():  # so it cannot clear up itself
        shutil.rmtree(folder, ignore_errors=True)


def _share_counts(folder: Path, number: int) -> CountFiles | None:
    """Count in files that all processes read; None, and logged, if there can be none."""
    try:
        return CountFiles(folder, number)
    except OSError as error:
        logger.warning("metrics_not_shared", reason=str(error))
        return None


async def _serve(settings: Settings, counted: Instruments, parent: Connection) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)

    def parent_ends() -> None:
        loop.remove_reader(parent.fileno())
        stop.set()

    loop.add_reader(parent.fileno(), parent_ends)
    freshet = Freshet(settings, instruments=counted)
    beat = PeriodicCallback(lambda: _say(parent, ALIVE), BEAT_SECONDS * 1000)
    freshet.begin()
    freshet.tasks.spawn(tuning.forget_the_start(freshet.read))
    try:
        await either(stop, freshet.read, WARM_SECONDS)  # to be no cold spot among the others
        freshet.listen()
        freshet.site.open()
        logger.info("process_started", pid=os.getpid(), port=freshet.port)
        _say(parent, LISTENING)
        beat.start()
        await stop.wait()
    finally:
        beat.stop()
        await freshet.stop()


def _say(parent: Connection, message: bytes) -> None:
    """Tell the parent, but neither wait while it is frozen nor mind that it has gone."""
    room = select.poll()
    room.register(parent.fileno(), select.POLLOUT)
    with suppress(OSError):
        if room.poll(0):
            parent.send_bytes(message)


async def either(first: asyncio.Event, second: asyncio.Event, seconds: float) -> None:
    """Wait for one of two events, so long at most."""
    waiting = [asyncio.create_task(each.wait()) for each in (first, second)]
    await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for each in waiting:
        each.cancel()


def make_ready() -> None:
    """Set up a process that serves: descriptors, pauses, memory. Call it before threads start."""
    allow_many_connections()
    tuning.keep_short()
    trimming.share_one_heap()


def allow_many_connections() -> None:
    """Use as many file descriptors as the system lets us; the usual soft limit is low."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # macOS has a limit of its own below the one it names
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def fastest_loop() -> Any:
    """Uvloop where there is one, else asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
