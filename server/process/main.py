"""Serves with one process or several: start, wait for a signal, stop."""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from server.config import settings as config
from server.config.settings import Settings
from server.http.connections.sockets import url_of
from server.observability import log
from server.process import tuning
from server.process.supervisor import supervise
from server.process.systemd import Notifier
from server.tasks import has_ended

logger = structlog.get_logger()


def run(server: Coroutine[Any, Any, None]) -> None:
    """Run a server to its end, on the fastest event loop available."""
    tuning.make_ready()
    with asyncio.Runner(loop_factory=tuning.fastest_loop()) as runner:
        runner.run(server)


async def serve(
    settings: Settings,
    standin: str | None = None,
    on_start: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve until SIGTERM or SIGINT.

    `standin` is the address of the stand-in for Spotify, if there is one. `on_start` is called with
    the server's address once clients can connect. Raises AddressUnavailable.
    """
    log.configure(settings.log_format, settings.log_level)
    for remark in config.remarks(settings.database_url):
        logger.warning(remark.event, note=remark.text, hint=remark.fix)
    stop, manager = asyncio.Event(), Notifier.of(os.environ)
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, stop.set)

    def started(port: int) -> None:
        url = url_of(settings.host, port)
        logger.info(
            "server_started",
            url=url,
            host=settings.host,
            mode="demo" if standin else "spotify",
            spotify=standin or settings.spotify_api_url,
            processes=settings.processes,
        )
        manager.ready()
        on_start(url)

    def stopping() -> None:
        logger.info("server_stopping")
        manager.stopping()

    with manager.watched():
        if settings.processes > 1:
            await supervise(settings, stop, started, stopping, manager.patience)
        else:
            await _serve_alone(settings, stop, started, stopping)


async def _serve_alone(
    settings: Settings,
    stop: asyncio.Event,
    started: Callable[[int], None],
    stopping: Callable[[], None],
) -> None:
    from server.app.application import Application  # the parent of several needs none

    application = Application(settings)
    application.start()
    application.tasks.spawn(tuning.freeze_startup(application.loaded))
    started(application.port)
    try:
        await has_ended(application.opening, stop)  # raises if clients cannot be answered
        await stop.wait()
        stopping()
    finally:
        await application.stop()
