"""A syncer with a database, a cache and a stand-in."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from structlog.testing import capture_logs

from server.app.upstream import Upstream, make_syncer
from server.database.executor import Database
from server.standin import AppKind, StandIn
from server.sync.report import Report
from server.sync.syncer import Syncer
from tests.support.clock import Clock
from tests.support.loops import Closing
from tests.support.settings import MakeSettings
from tests.support.standins import StartStandIn

NEW_RELEASES = "/v1/browse/new-releases"
SEARCH = "/v1/search"
OUTCOMES = ("sync_finished", "sync_failed")


class Rig:
    """A syncer on the stand-in and a real database, and the events that it logged."""

    def __init__(self, standin: StandIn, database: Database, settings: Any, clock: Clock) -> None:
        self.standin, self.database = standin, database
        self.upstream = Upstream(settings, database, clock)
        self.announced = 0
        self.syncer: Syncer = make_syncer(
            settings, database, self.upstream, self._announce, clock, origin="me"
        )

    async def _announce(self) -> None:
        self.announced += 1

    async def sync(self) -> tuple[Report, list[Any]]:
        with capture_logs() as logs:
            report = await self.syncer.sync()
        return report, logs

    def rows(self, model: Any) -> list[Any]:
        with Session(self.database.engine) as session:
            return list(session.scalars(select(model)))


@pytest.fixture
def rig(
    start_standin: StartStandIn,
    make_settings: MakeSettings,
    database: Database,
    clock: Clock,
    closing: Closing,
) -> Callable[..., Rig]:
    def make(items: list[Any], *, kind: AppKind = AppKind.EXTENDED, **overrides: Any) -> Rig:
        standin = start_standin(items, kind=kind)
        rig = Rig(standin, database, make_settings(standin, **overrides), clock)
        closing(rig.upstream.stop)
        return rig

    return make
