"""What looks after wanted artists, on a stand-in, with a database and a clock that tests move."""

from collections.abc import Callable
from typing import Any, TypeVar

from structlog.testing import capture_logs

from server.app.following import Following
from server.app.upstream import Upstream, make_syncer
from server.database.executor import Database
from server.standin import AppKind, StandIn
from server.storage import following
from tests.support.clock import Clock
from tests.support.examples import spotify_id
from tests.support.loops import Closing
from tests.support.settings import MakeSettings
from tests.support.standins import StartStandIn


class CheckRig:
    """Base of the rigs of the two ways of checking artists; `job` is one tick of a way."""

    def __init__(self, standin: StandIn, database: Database, settings: Any, clock: Clock) -> None:
        self.standin, self.database, self.clock = standin, database, clock
        self.upstream = Upstream(settings, database, clock)
        self.announced = 0
        syncer = make_syncer(settings, database, self.upstream, self._announce, clock)
        self.following = Following(database, self.upstream, syncer, self._announce, clock)

    async def _announce(self) -> None:
        self.announced += 1

    async def job(self) -> None:
        raise NotImplementedError

    async def watch(self, *numbers: int) -> None:
        artists = {spotify_id("artist", number): f"Artist {number}" for number in numbers}
        await self.database.run(following.choose, None, artists, "watched", self.clock())
        await self.following.changed()

    async def ticks(self, number: int, **apart: float) -> list[Any]:
        with capture_logs() as logs:
            for _ in range(number):
                await self.job()
                self.clock.forward(**(apart or {"seconds": 3}))
        return logs

    async def all(self, statement: Any) -> list[Any]:
        return await self.database.run(lambda session: list(session.scalars(statement)))


Rig = TypeVar("Rig", bound=CheckRig)


def rig_maker(
    kind: type[Rig],
    start_standin: StartStandIn,
    make_settings: MakeSettings,
    database: Database,
    clock: Clock,
    closing: Closing,
) -> Callable[..., Rig]:
    """Return a function that makes a rig on a stand-in with these albums, for a restricted app."""

    def make(items: list[Any], overrides: dict[str, Any] | None = None, **options: Any) -> Rig:
        standin = start_standin(items, kind=AppKind.RESTRICTED, clock=clock, **options)
        rig = kind(standin, database, make_settings(standin, **(overrides or {})), clock)
        closing(rig.upstream.stop)
        return rig

    return make
