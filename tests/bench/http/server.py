"""Freshet's process, with what `manage.py run` has no option for.

`python -m tests.bench.http.server FD`, its settings in the environment.
"""

import asyncio
from collections import Counter
from contextlib import suppress

import uvloop

from server import config, log, pauses, routes
from server.app import Freshet
from server.config import Settings
from server.site import Site
from tests.bench.http.control import obey


class Bench:
    """A server which syncs without a pause, or throws its answers away each second, if told to."""

    def __init__(self) -> None:
        self._freshet = Freshet(config.load(Settings))
        self._work: asyncio.Task[None] | None = None
        self._counts = Counter[str]()

    async def start(self, *, lane: bool) -> int:
        """Listen, with the fast lane or without; the port."""
        log.configure("json", "warning")
        if not lane:
            given = self._freshet
            elsewhere = routes.elsewhere(given.settings)
            given.site = Site(given.routes(), given.access_log, elsewhere)
        self._freshet.start()
        self._freshet.tasks.spawn(pauses.forget_the_start(self._freshet.read))
        return self._freshet.port

    async def sync(self) -> None:
        """Sync one after the other from now on."""
        self._work = asyncio.create_task(self._sync_on_and_on())

    async def refresh(self, seconds: float) -> None:
        """Make all answers anew so often."""
        self._work = asyncio.create_task(self._refresh_on_and_on(seconds))

    async def rest(self) -> dict[str, int]:
        """Give up what goes on; how often it was complete, brought nothing, and failed."""
        if self._work is not None:
            self._work.cancel()
            with suppress(asyncio.CancelledError):
                await self._work
        counts, self._counts = self._counts, Counter()
        return {kind: counts[kind] for kind in ("complete", "empty", "failed")}

    async def stop(self) -> None:
        await self._freshet.stop()

    async def _sync_on_and_on(self) -> None:
        while True:
            report = await self._freshet.syncer.sync(purpose="interactive")
            done = "complete" if report.updated else "empty"
            self._counts[done if report.outcome == "complete" else "failed"] += 1

    async def _refresh_on_and_on(self, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            await self._freshet.cache.refresh()
            self._counts["complete"] += 1


async def main() -> None:
    pauses.keep_short()
    bench = Bench()
    await obey(
        {"start": bench.start, "sync": bench.sync, "refresh": bench.refresh, "rest": bench.rest}
    )
    await bench.rest()
    await bench.stop()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
