"""The watchdog of what is served: a sync that is stored and not served is noticed and healed."""

import itertools

import orjson
import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from server.app.application import Application
from server.serving.lag import GRACE_SECONDS, MAX_PAUSE, ServingLag
from tests.support.cache_rig import Timer
from tests.support.client import Client
from tests.support.clock import Clock
from tests.support.event_streams import happen
from tests.support.examples import albums
from tests.support.loops import Closing
from tests.support.metrics import samples_of
from tests.support.settings import MakeSettings
from tests.support.waiting import until

METRIC = "freshet_served_age_seconds[1]"


class Rig:
    """A watchdog, and what it compares."""

    def __init__(self) -> None:
        self.timer = Timer()
        self.stored: int | None = None
        self.served: int | None = None
        self.reloads: list[float] = []
        self.heals = False
        self.lag = ServingLag(lambda: self.stored, lambda: self.served, self.reload, self.timer)

    async def reload(self) -> None:
        self.reloads.append(self.timer())
        if not self.heals:
            raise ValueError("nobody foresaw this")
        self.served = self.stored

    async def pass_by(self, seconds: float, step: float = 10) -> None:
        """Look as often as a server does."""
        for _ in range(round(seconds / step)):
            self.timer.seconds += step
            self.lag.refresh()
            await self.lag.heal()


@pytest.mark.gen_test
async def test_while_the_newest_sync_is_served_nothing_is_reloaded() -> None:
    rig = Rig()
    for stored, served in ((None, None), (1, 1), (7, 7)):
        rig.stored, rig.served = stored, served
        await rig.pass_by(600)
        assert (rig.lag.seconds, rig.lag.is_long) == (0, False)
    assert rig.reloads == []


@pytest.mark.gen_test
async def test_a_sync_may_wait_a_minute_to_be_served() -> None:
    rig = Rig()
    rig.stored = 1
    with capture_logs() as logs:
        await rig.pass_by(60)
        assert rig.lag.seconds == 50, "since it was first seen"
        rig.served = 1
        await rig.pass_by(60)
    assert (rig.reloads, logs, rig.lag.seconds) == ([], [], 0)


@pytest.mark.gen_test
async def test_after_a_minute_all_is_reloaded_and_again_with_ever_longer_pauses() -> None:
    rig = Rig()
    rig.stored, rig.served = 2, 1
    began = rig.timer()
    with capture_logs() as logs:
        await rig.pass_by(3600)
    assert rig.lag.is_long
    assert rig.lag.seconds > 3500
    after = [round(each - began) for each in rig.reloads]
    assert GRACE_SECONDS < after[0] <= GRACE_SECONDS + 20
    pauses = [later - sooner for sooner, later in itertools.pairwise(after)]
    assert pauses == sorted(pauses)
    assert pauses[0] <= 2 * GRACE_SECONDS
    assert MAX_PAUSE <= pauses[-1] <= MAX_PAUSE + 20
    (first, *_) = [line for line in logs if line["event"] == "served_behind"]
    assert (first["stored"], first["served"], first["log_level"]) == (2, 1, "error")
    rig.heals = True
    with capture_logs() as logs:
        await rig.pass_by(MAX_PAUSE + 20)
    assert (rig.lag.seconds, rig.lag.is_long) == (0, False)
    assert [line["event"] for line in logs] == ["served_behind", "served_caught_up"]


@pytest.mark.gen_test
async def test_syncs_that_follow_do_not_make_the_wait_begin_again() -> None:
    rig = Rig()
    rig.served = 1
    for number in range(2, 12):
        rig.stored = number
        await rig.pass_by(60)
    assert rig.lag.seconds > 500


@pytest.mark.gen_test
async def test_a_database_that_was_made_anew_is_reloaded_too() -> None:
    rig = Rig()
    rig.stored, rig.served, rig.heals = 1, 700, True
    await rig.pass_by(90)
    assert (len(rig.reloads), rig.served, rig.lag.seconds) == (1, 1, 0)


@pytest.mark.gen_test
async def test_a_server_that_cannot_serve_what_is_stored_says_so_until_it_can(
    make_settings: MakeSettings, closing: Closing, clock: Clock
) -> None:
    """By a change of a year that PostgreSQL knows and Python does not."""
    timer = Timer()
    freshet = Application(make_settings(sync_interval=0), clock, timer=timer)
    freshet.start()
    closing(freshet.stop)
    await until(lambda: freshet.timers.are_running)
    happen(freshet.database, albums(1))
    client = Client(freshet)
    await until(lambda: freshet.cache.snapshot and len(freshet.cache.snapshot.albums) == 1)
    await freshet._catch_up()
    assert (await samples_of(freshet))[METRIC] == 0
    assert (await client.fetch("/readyz")).code == 200

    async def execute(statement: str) -> None:
        await freshet.database.run(lambda session: session.execute(text(statement)))

    unreadable = "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    unreadable += "NEW.at := '20000-01-01Z'; RETURN NEW; END $$"
    await execute(unreadable)
    await execute(
        "CREATE TRIGGER spoil BEFORE INSERT ON changes FOR EACH ROW EXECUTE FUNCTION spoil()"
    )
    happen(freshet.database, albums(2))
    with capture_logs() as logs:
        await freshet._data_changed()
        for _ in range(7):
            timer.seconds += 10
            await freshet._catch_up()
    assert [line["event"] for line in logs].count("served_behind") == 1
    assert (await samples_of(freshet))[METRIC] == pytest.approx(70, abs=20)
    answer = await client.fetch("/readyz")
    assert answer.code == 503
    (reason,) = orjson.loads(answer.body)["reasons"]
    assert reason.startswith("the newest sync was stored 1 min")
    page = orjson.loads((await client.fetch("/api/albums/")).body)
    assert page["total"] == 1, "the last good answer"
    await execute("UPDATE changes SET at = now()")
    with capture_logs() as logs:
        for _ in range(7):
            timer.seconds += 10
            await freshet._catch_up()
    assert "served_caught_up" in [line["event"] for line in logs]
    assert orjson.loads((await client.fetch("/api/albums/")).body)["total"] == 2
    assert (await samples_of(freshet))[METRIC] == 0
    assert (await client.fetch("/readyz")).code == 200
    client.http.close()
