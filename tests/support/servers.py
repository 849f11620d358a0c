"""Whole servers inside the process of a test."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from server.app.application import Application
from server.app.upstream import utc_now
from server.config.settings import Settings
from server.standin import StandIn
from tests.support.waiting import until


@pytest.fixture
def launch_freshet(closing: Any) -> Callable[..., Application]:
    """Start a whole server in this process; it is stopped afterwards."""

    def launch(settings: Settings, now: Callable[[], datetime] = utc_now) -> Application:
        freshet = Application(settings, now)
        freshet.start()
        closing(freshet.stop)
        return freshet

    return launch


@pytest.fixture
def start_freshet(
    make_settings: Callable[..., Settings], launch_freshet: Callable[..., Application]
) -> Callable[..., Any]:
    """Launch a server on the stand-in and wait for its first sync."""

    async def start(standin: StandIn, **overrides: Any) -> Application:
        freshet = launch_freshet(make_settings(standin, **overrides))
        await until(lambda: freshet.cache.snapshot and freshet.cache.snapshot.freshness.synced_at)
        return freshet

    return start
