"""From the settings to the end: start one process or several, wait for a signal, stop."""

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from typing import Any

import structlog

from server import config, demo, log, pauses
from server.app import Freshet
from server.config import Settings
from server.notify import Notifier
from server.process import WARM_SECONDS, allow_many_connections, either, fastest_loop
from server.spotify.standin import Fault
from server.supervisor import supervise

logger = structlog.get_logger()


def serve(*, with_demo: bool, faults: Sequence[Fault] = (), **overrides: Any) -> None:
    """Run until SIGTERM or SIGINT; the demo's stand-in misbehaves as `faults` say.

    Raises SettingsError or AddressUnavailable.
    """
    allow_many_connections()
    pauses.keep_short()
    settings = None if with_demo else config.load(Settings, **overrides)
    with asyncio.Runner(loop_factory=fastest_loop()) as runner:
        runner.run(_demo(faults, overrides) if settings is None else _serve(settings))


async def _demo(faults: Sequence[Fault], overrides: dict[str, Any]) -> None:
    with demo.only_one():
        standin = demo.start_standin(faults)
        try:
            settings = demo.settings(standin, **overrides)
            await _serve(settings, standin=standin.accounts_url)
        finally:
            await standin.stop()


async def _serve(settings: Settings, standin: str | None = None) -> None:
    log.configure(settings.log_format, settings.log_level)
    stop, manager = asyncio.Event(), Notifier.of(os.environ)
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, stop.set)

    def started(port: int) -> None:
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        logger.info(
            "server_started",
            url=f"http://{host}:{port}",
            mode="demo" if standin else "spotify",
            spotify=standin or settings.spotify_api_url,
            processes=settings.processes,
        )
        manager.ready()

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
    freshet = Freshet(settings)
    freshet.listen()
    freshet.begin()
    freshet.tasks.spawn(pauses.forget_the_start(freshet.read))
    started(freshet.port)
    try:
        await either(stop, freshet.read, WARM_SECONDS)  # who comes meanwhile waits
        freshet.site.open()
        await stop.wait()
        stopping()
    finally:
        await freshet.stop()
