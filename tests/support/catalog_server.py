"""A server whose releases are stored by the test, as the sync of another process would."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from server.app.application import Application
from server.storage import sweeps
from tests.support.client import Client
from tests.support.clock import Clock
from tests.support.examples import sweep
from tests.support.servers import LaunchFreshet
from tests.support.settings import MakeSettings
from tests.support.waiting import until

START = datetime(2026, 11, 1, 12, tzinfo=UTC)


class Stage:
    """A server, a client, and syncs as another process would make them."""

    def __init__(self, freshet: Application) -> None:
        self.freshet, self.client = freshet, Client(freshet)

    async def take(self, items: list[Any], at: datetime, **fields: Any) -> None:
        await self.freshet.database.run(sweeps.record_sweep, sweep(items, **fields), at, lambda: at)
        await self.freshet.cache.refresh()

    async def get(self, path: str, **headers: str) -> Any:
        answer = await self.client.fetch(path, **headers)
        assert answer.code == 200, answer.body
        return orjson.loads(answer.body)

    async def names(self, path: str) -> list[str]:
        return [item["name"] for item in (await self.get(path))["items"]]


SetCatalogueStage = Callable[[], Awaitable[Stage]]


@pytest.fixture
def set_catalogue_stage(
    make_settings: MakeSettings, launch_freshet: LaunchFreshet, clock: Clock
) -> SetCatalogueStage:
    async def make() -> Stage:
        freshet = launch_freshet(make_settings(sync_interval=0), clock)
        await until(lambda: freshet.timers.are_running)
        return Stage(freshet)

    return make
