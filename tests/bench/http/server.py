"""Freshet's process, with what `manage.py run` has no option for.

`python -m tests.bench.http.server FD`, its settings in the environment.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial

import uvloop

from server.app import routes
from server.app.application import Application
from server.config import settings
from server.config.settings import Settings
from server.http.server import WebServer
from server.observability import log
from server.process import tuning
from tests.bench.http.control import obey


class Bench:
    """A server which syncs without a pause, or throws its answers away each second, if told to."""

    def __init__(self) -> None:
        self._freshet = Application(settings.load(Settings))
        self._work: asyncio.Task[None] | None = None
        self._goes_on = False
        self._counts = Counter[str]()

    async def start(self, *, lane: bool) -> int:
        """Listen, with the fast lane or without; the port."""
        log.configure("json", "warning")
        if not lane:
            given = self._freshet
            elsewhere = routes.not_found(given.pages)
            given.web_server = WebServer(given.routes(), given.access_log, elsewhere)
        self._freshet.start()
        self._freshet.tasks.spawn(tuning.freeze_startup(self._freshet.loaded))
        return self._freshet.port

    async def sync(self) -> None:
        """Sync one after the other from now on."""
        self._begin(self._sync)

    async def refresh(self, seconds: float) -> None:
        """Make all answers anew so often."""
        self._begin(partial(self._refresh, seconds))

    async def rest(self) -> dict[str, int]:
        """Let what goes on come to its end; how often it was complete, brought nothing, failed."""
        self._goes_on = False
        if self._work is not None:
            await self._work
        counts, self._counts = self._counts, Counter()
        return {kind: counts[kind] for kind in ("complete", "empty", "failed")}

    async def stop(self) -> None:
        await self._freshet.stop()

    def _begin(self, work: Callable[[], Awaitable[None]]) -> None:
        async def go_on() -> None:
            while self._goes_on:
                await work()

        self._goes_on = True
        self._work = asyncio.create_task(go_on())

    async def _sync(self) -> None:
        report = await self._freshet.syncer.sync(purpose="interactive")
        done = "complete" if report.updated else "empty"
        self._counts[done if report.outcome == "complete" else "failed"] += 1

    async def _refresh(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._freshet.cache.refresh()
        self._counts["complete"] += 1


async def main() -> None:
    tuning.keep_pauses_short()
    bench = Bench()
    await obey(
        {"start": bench.start, "sync": bench.sync, "refresh": bench.refresh, "rest": bench.rest}
    )
    await bench.rest()
    await bench.stop()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
