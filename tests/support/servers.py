"""Whole servers inside the process of a test."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

import pytest

from server.app.application import Application
from server.app.upstream import utc_now
from server.config.settings import Settings
from server.standin import StandIn
from tests.support.loops import Closing
from tests.support.settings import MakeSettings
from tests.support.waiting import until


class LaunchFreshet(Protocol):
    """Starts a server; it may not be ready yet."""

    def __call__(
        self, settings: Settings, now: Callable[[], datetime] = utc_now
    ) -> Application: ...


class StartFreshet(Protocol):
    """Starts a server on a stand-in, with settings of the test, and waits for its first sync."""

    async def __call__(self, standin: StandIn, **overrides: Any) -> Application: ...


@pytest.fixture
def launch_freshet(closing: Closing) -> LaunchFreshet:
    """Start a whole server in this process; it is stopped afterwards."""

    def launch(settings: Settings, now: Callable[[], datetime] = utc_now) -> Application:
        freshet = Application(settings, now)
        freshet.start()
        closing(freshet.stop)
        return freshet

    return launch


@pytest.fixture
def start_freshet(make_settings: MakeSettings, launch_freshet: LaunchFreshet) -> StartFreshet:
    """Launch a server on the stand-in and wait for its first sync."""

    async def start(standin: StandIn, **overrides: Any) -> Application:
        freshet = launch_freshet(make_settings(standin, **overrides))
        await until(lambda: freshet.cache.snapshot and freshet.cache.snapshot.freshness.synced_at)
        return freshet

    return start
