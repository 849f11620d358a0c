"""The whole server: how it starts, what it survives, and how it stops."""

import asyncio
import os
import signal
import socket
import time
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from server.app.application import Application
from server.database.executor import Database
from server.http.server import DRAIN_SECONDS
from server.process import main
from server.storage import following
from tests.support.client import Client
from tests.support.databases import CopyCluster
from tests.support.examples import album, albums, spotify_id
from tests.support.loops import Closing
from tests.support.servers import LaunchFreshet, StartFreshet
from tests.support.settings import MakeSettings
from tests.support.standins import StartStandIn
from tests.support.waiting import until


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_request_in_flight_is_answered_before_the_server_stops(
    start_freshet: StartFreshet, start_standin: StartStandIn
) -> None:
    freshet: Application = await start_freshet(start_standin(albums(2)))
    client = Client(freshet)
    with freshet.database.engine.begin() as other:
        other.execute(text("LOCK TABLE alembic_version"))
        asked = asyncio.create_task(client.fetch("/readyz"))
        await until(lambda: freshet.web_server.in_flight)
        stopping = asyncio.create_task(freshet.stop())
        await asyncio.sleep(0.1)
        assert not stopping.done()
    assert (await asked).code == 200
    await stopping
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", freshet.port)
    client.http.close()


@pytest.mark.gen_test
async def test_a_request_that_never_came_in_whole_does_not_hold_up_the_end(
    start_freshet: StartFreshet, start_standin: StartStandIn
) -> None:
    freshet: Application = await start_freshet(start_standin(albums(2)))
    _, writer = await asyncio.open_connection("127.0.0.1", freshet.port)
    writer.write(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
    await writer.drain()
    await asyncio.sleep(0.05)
    writer.close()
    assert freshet.web_server.in_flight == 0
    async with asyncio.timeout(DRAIN_SECONDS):
        await freshet.stop()


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_frozen_database_holds_up_no_read(
    make_settings: MakeSettings,
    start_standin: StartStandIn,
    tmp_path: Path,
    launch_freshet: LaunchFreshet,
    copy_cluster: CopyCluster,
) -> None:
    folder = copy_cluster(tmp_path / "data")
    standin = start_standin(albums(5))
    freshet = launch_freshet(make_settings(standin, database_url=f"embedded:{folder}", cache_ttl=1))
    await until(
        lambda: freshet.cache.snapshot and freshet.cache.snapshot.freshness.synced_at, seconds=60
    )
    client, reader = Client(freshet), Client(freshet)  # one has but ten connections, all waiting
    postmaster = int((folder / "postmaster.pid").read_text().split()[0])
    backends = [int(pid) for pid in _children(postmaster)]
    try:
        for pid in (postmaster, *backends):
            os.kill(pid, signal.SIGSTOP)
        probes = [asyncio.create_task(client.fetch("/readyz")) for _ in range(12)]
        await asyncio.sleep(1.2)
        for number in range(1, 6):
            async with asyncio.timeout(8):
                page = orjson.loads((await reader.fetch(f"/api/artists/?limit={number}")).body)
            assert page["count"] == number
        assert {(await probe).code for probe in probes} == {503}
    finally:
        for pid in (postmaster, *backends):
            os.kill(pid, signal.SIGCONT)
    client.http.close()
    reader.http.close()


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


@pytest.mark.gen_test
async def test_a_newer_schema_is_said_and_nothing_is_touched(
    make_settings: MakeSettings, database: Database, launch_freshet: LaunchFreshet
) -> None:
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with capture_logs() as logs:
        launch_freshet(make_settings())
        await until(lambda: [line for line in logs if line["event"] == "database_unavailable"])
    (told,) = [line for line in logs if line["event"] == "database_unavailable"]
    assert "newer" in told["reason"]
    with database.engine.connect() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "9999"


@pytest.mark.slow
@pytest.mark.gen_test
async def test_the_embedded_database_is_started_again_when_it_was_killed(
    make_settings: MakeSettings,
    start_standin: StartStandIn,
    tmp_path: Path,
    launch_freshet: LaunchFreshet,
    copy_cluster: CopyCluster,
) -> None:
    folder = copy_cluster(tmp_path / "data")
    standin = start_standin(albums(3))
    freshet = launch_freshet(make_settings(standin, database_url=f"embedded:{folder}"))
    await until(
        lambda: freshet.cache.snapshot and freshet.cache.snapshot.freshness.synced_at, seconds=60
    )
    os.kill(int((folder / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    client = Client(freshet)
    assert orjson.loads((await client.fetch("/api/artists/")).body)["total"] == 3
    standin.catalogue.albums.insert(0, album(9))
    async with asyncio.timeout(30):
        while (await client.fetch("/readyz")).code == 200:  # by a session that has yet to hear
            await asyncio.sleep(0.01)
        while (await client.fetch("/readyz")).code != 200:
            await asyncio.sleep(0.1)
    assert (await freshet.syncer.sync()).added == 1
    assert orjson.loads((await client.fetch("/api/artists/")).body)["total"] == 4
    client.http.close()


@pytest.mark.gen_test
async def test_nothing_is_done_by_the_clock_where_the_interval_is_0(
    make_settings: MakeSettings,
    start_standin: StartStandIn,
    launch_freshet: LaunchFreshet,
    database: Database,
) -> None:
    standin = start_standin(albums(3))
    watched = {spotify_id("artist", 1): None}
    await database.run(following.choose, None, watched, "watched", datetime.now(UTC))
    freshet = launch_freshet(make_settings(standin, sync_interval=0))
    await until(lambda: freshet.cache.snapshot)
    await asyncio.sleep(0.2)
    assert list(standin.calls) == []
    assert not freshet.jobs.leadership.leads
    assert not freshet.jobs._timers.are_running, "which look for syncs, checks and old data"


@pytest.mark.gen_test
async def test_stopping_before_the_database_is_there_is_no_trouble(
    make_settings: MakeSettings, start_standin: StartStandIn
) -> None:
    freshet = Application(make_settings(start_standin(albums(3))))
    freshet.start()
    await freshet.stop()


@pytest.mark.slow
@pytest.mark.gen_test
async def test_what_is_done_by_the_clock_ends_before_the_server_has_stopped(
    start_freshet: StartFreshet, start_standin: StartStandIn
) -> None:
    standin = start_standin(albums(2))
    standin.misbehave("slow", path="/v1/artists", seconds=0.5, times=None)
    freshet: Application = await start_freshet(standin)
    await until(lambda: standin.calls_to("/v1/artists"))
    with capture_logs() as logs:
        await freshet.stop()
        await asyncio.sleep(0.6)
    assert [line["event"] for line in logs][-1] == "server_stopped"


@pytest.mark.gen_test
async def test_clients_wait_for_the_first_data_but_not_for_ever(
    make_settings: MakeSettings, closing: Closing
) -> None:
    nowhere = "postgresql://user:password@127.0.0.1:1/freshet"
    freshet = Application(make_settings(database_url=nowhere), warm_seconds=0.5)
    closing(freshet.stop)
    started = time.monotonic()
    freshet.start()
    _, writer = await asyncio.open_connection("127.0.0.1", freshet.port)  # listens at once
    writer.close()
    client = Client(freshet)
    assert (await client.fetch("/healthz")).code == 200
    assert time.monotonic() - started >= 0.5
    assert not freshet.loaded.is_set()
    await freshet.opening
    client.http.close()


@pytest.mark.gen_test
async def test_clients_are_answered_as_soon_as_there_is_data(
    make_settings: MakeSettings, start_standin: StartStandIn, closing: Closing
) -> None:
    freshet = Application(make_settings(start_standin(albums(2))), warm_seconds=600)
    closing(freshet.stop)
    freshet.start()
    client = Client(freshet)
    assert (await client.fetch("/healthz")).code == 200
    assert freshet.loaded.is_set()
    client.http.close()


@pytest.mark.gen_test
async def test_a_server_that_cannot_answer_ends_with_the_error(
    make_settings: MakeSettings, start_standin: StartStandIn
) -> None:
    settings = make_settings(start_standin(albums(2)), processes=2)  # it only binds at first
    with socket.socket() as other:

        def take_port(port: int) -> None:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(("127.0.0.1", port))
            other.listen()

        async with asyncio.timeout(30):
            with pytest.raises(OSError, match="Address already in use"):
                await main._serve_alone(settings, asyncio.Event(), take_port, lambda: None)


@pytest.mark.gen_test
async def test_a_stop_while_clients_wait_still_answers_them(
    make_settings: MakeSettings, closing: Closing
) -> None:
    nowhere = "postgresql://user:password@127.0.0.1:1/freshet"
    freshet = Application(make_settings(database_url=nowhere), warm_seconds=600)
    closing(freshet.stop)
    freshet.start()
    client = Client(freshet)
    waiting = asyncio.create_task(client.fetch("/healthz"))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    await freshet.stop()
    assert (await waiting).code == 200
    client.http.close()


@pytest.mark.gen_test
@pytest.mark.parametrize("turns", range(6))
async def test_a_request_that_came_just_before_a_stop_is_answered(
    make_settings: MakeSettings, closing: Closing, turns: int
) -> None:
    nowhere = "postgresql://user:password@127.0.0.1:1/freshet"
    freshet = Application(make_settings(database_url=nowhere), warm_seconds=0)
    closing(freshet.stop)
    freshet.start()
    await freshet.opening
    with socket.create_connection(("127.0.0.1", freshet.port), timeout=30) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        for _ in range(turns):  # of the loop: it is accepted, read, and handed to Tornado
            await asyncio.sleep(0)
        await freshet.stop()
        assert client.recv(1024).startswith(b"HTTP/1.1 200 OK\r\n")
