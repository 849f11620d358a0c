"""One process from its settings to its end: start, wait for a signal, stop."""

import asyncio
import resource
import signal
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import structlog

from server import config, demo, log
from server.app import Freshet
from server.config import Settings
from server.spotify.standin import Fault

logger = structlog.get_logger()


def serve(*, with_demo: bool, faults: Sequence[Fault] = (), **overrides: Any) -> None:
    """Run until SIGTERM or SIGINT; the demo's stand-in misbehaves as `faults` say.

    Raises SettingsError or AddressUnavailable.
    """
    _allow_many_connections()
    settings = None if with_demo else config.load(Settings, **overrides)
    with asyncio.Runner(loop_factory=_fastest_loop()) as runner:
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
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, stop.set)
    freshet = Freshet(settings)
    freshet.start()
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    logger.info(
        "server_started",
        url=f"http://{host}:{freshet.port}",
        mode="demo" if standin else "spotify",
        spotify=standin or settings.spotify_api_url,
    )
    try:
        await stop.wait()
        logger.info("server_stopping")
    finally:
        await freshet.stop()


def _allow_many_connections() -> None:
    """Use as many file descriptors as the system lets us; the usual soft limit is low."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # macOS has a limit of its own below the one it names
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _fastest_loop() -> Any:
    """Uvloop where there is one, else asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
