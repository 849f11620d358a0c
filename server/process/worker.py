"""A worker, one of several processes: it serves until its parent stops it or has ended."""

import asyncio
import os
import select
import shutil
import signal
from contextlib import suppress
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from pathlib import Path

import structlog
from tornado.ioloop import PeriodicCallback

from server.app.application import Application
from server.config.settings import Settings
from server.observability import log
from server.observability.count_files import CountFiles
from server.observability.instruments import Instruments
from server.process import inherited_state, tuning
from server.process.child import BEAT_SECONDS
from server.tasks import has_ended

LISTENING, ALIVE = b"listening", b"alive"

logger = structlog.get_logger()


def main(settings: Settings, folder: Path, number: int, parent: Connection) -> None:
    """Serve as process `number`, counted from 1, which each of its log lines carries.

    Its counts go into files in `folder`, which all processes read. It sends a message to `parent`
    once it answers, and another every second that its loop turns. The parent sends nothing: it
    closes the pipe to stop the worker, which also happens when the parent is killed. SIGINT is
    ignored, because a Ctrl-C of the terminal reaches the parent, too.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    inherited_state.repair()
    tuning.make_ready()
    log.configure(settings.log_format, settings.log_level, process=number)
    counted = Instruments(number, _share_counts(folder, number))
    with asyncio.Runner(loop_factory=tuning.fastest_loop()) as runner:
        runner.run(_serve(settings, counted, parent))
    started_by = parent_process()
    if started_by is None or not started_by.is_alive():  # and cannot clean up
        shutil.rmtree(folder, ignore_errors=True)


def _share_counts(folder: Path, number: int) -> CountFiles | None:
    """Return counters in files that all processes read; None, with a warning, if that fails."""
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
    application = Application(settings, instruments=counted)
    beat = PeriodicCallback(lambda: _say(parent, ALIVE), BEAT_SECONDS * 1000)
    application.start()
    application.tasks.spawn(tuning.freeze_startup(application.loaded))
    try:
        if await has_ended(application.opening, stop):
            logger.info("process_started", pid=os.getpid(), port=application.port)
            _say(parent, LISTENING)
            beat.start()
        await stop.wait()
    finally:
        beat.stop()
        await application.stop()


def _say(parent: Connection, message: bytes) -> None:
    """Send a message to the parent, unless it is frozen or has ended."""
    room = select.poll()
    room.register(parent.fileno(), select.POLLOUT)
    with suppress(OSError):
        if room.poll(0):
            parent.send_bytes(message)
