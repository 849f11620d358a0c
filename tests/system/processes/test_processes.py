"""`run --processes N`: they share a port, die and come back, and end together."""

import os
import re
import select
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import psycopg2
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import URL

from server.storage.sweeps import CHANNEL
from tests.support.databases import CopyCluster
from tests.support.ports import is_open
from tests.support.process_tree import descendants, is_alive, pids, warm
from tests.support.server_processes import NOTHING, Manage, Server, environment, standin_settings

Run = Callable[..., Server]
STARTING = 60.0  # seconds; three interpreters on a busy machine


def until(condition: Callable[[], Any], seconds: float) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


@pytest.mark.slow
def test_two_processes_serve_the_demo_and_one_that_is_killed_comes_back(
    run: Run, manage: Manage, demo_env: dict[str, str]
) -> None:
    server = run("--demo", "--processes", "2", env=demo_env | {"ACCESS_LOG": "all"}, fresh=True)
    started = server.event("server_started", STARTING)
    assert (started["processes"], started["mode"]) == (2, "demo")
    assert len(server.events("server_started")) == 1
    until(lambda: warm(server) == {1, 2}, STARTING)
    assert sorted(pids(server)) == [1, 2]

    def both_have_answered() -> bool:
        assert server.get("/api/artists/")[0] == 200
        return {line["process"] for line in server.events("http_request")} == {1, 2}

    until(both_have_answered, 20)
    before = pids(server)
    os.kill(before[1], signal.SIGKILL)
    died = server.event("process_died")
    assert (died["process"], died["pid"], died["signal"]) == (1, before[1], "SIGKILL")
    until(lambda: pids(server)[1] != before[1], STARTING)
    assert pids(server)[2] == before[2]
    assert server.get("/readyz")[0] == 200, "the database is the parent's, and so still there"
    second = manage("run", "-p", str(server.port), env=environment("embedded:"))
    assert second.returncode == 1
    assert f"Cannot listen on 127.0.0.1:{server.port}: address in use" in second.stderr
    everybody = descendants(server.process.pid)
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < 10
    assert server.lines()[-1]["event"] == "server_stopped"
    until(lambda: not any(map(is_alive, everybody)), 5)


def test_a_ctrl_c_reaches_all_and_ends_them_in_good_order(
    run: Run, database_url: URL, spotify: str
) -> None:
    settings = standin_settings(spotify) | {"PROCESSES": "2"}
    server = run("-p", "0", env=environment(database_url, **settings))
    started = server.event("server_started", STARTING)
    server.port = int(started["url"].rpartition(":")[2])
    assert {line["port"] for line in server.events("process_started")} == {server.port}
    until(lambda: warm(server) == {1, 2}, STARTING)
    assert server.get("/api/artists/")[0] == 200
    os.killpg(server.process.pid, signal.SIGINT)
    assert server.process.wait(10) == 0
    assert not server.events("process_died")
    stopped = server.events("server_stopped")
    assert sorted(line.get("process", 0) for line in stopped) == [0, 1, 2]


def test_a_parent_that_is_killed_takes_its_children_along(
    run: Run, copy_cluster: CopyCluster, tmp_path: Path, spotify: str
) -> None:
    place = tmp_path / "temporary"
    place.mkdir()
    data = copy_cluster(tmp_path / "data")
    env = environment(f"embedded:{data}", **standin_settings(spotify))
    env |= {"TMPDIR": str(place)}
    server = run("--processes", "2", env=env)
    server.event("server_started", STARTING)
    server.event("sync_finished", STARTING)
    everybody = descendants(server.process.pid)
    assert len(everybody) > 3
    assert list(place.iterdir())
    server.process.kill()
    server.process.wait()
    until(lambda: not any(map(is_alive, everybody)), 10)
    assert [line["process"] for line in server.events("server_stopped")] in ([1, 2], [2, 1])
    assert not is_open(server.port)
    assert not list(place.iterdir()), "nothing is left behind"


def test_wrong_settings_are_told_once(manage: Manage) -> None:
    wrong = manage("run", "--processes", "2", env=NOTHING | {"CLIENT_ID": "x"})
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.count("missing or wrong") == 1
    many = manage("run", env=environment("postgresql://x@y/z", PROCESSES="65"))
    assert many.returncode == 2
    assert "  PROCESSES " in many.stderr


def samples(server: Server) -> dict[str, float]:
    text = server.get("/metrics")[2].decode()
    return {
        sample.name + "".join(f"[{value}]" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_one_scrape_tells_the_sums_of_all_processes_also_of_one_that_died(
    run: Run, database_url: URL, spotify: str, tmp_path: Path
) -> None:
    place = tmp_path / "temporary"
    place.mkdir()
    env = environment(database_url, ACCESS_LOG="all", **standin_settings(spotify))
    env |= {"TMPDIR": str(place)}
    server = run("--processes", "2", env=env)
    server.event("server_started", STARTING)
    until(lambda: warm(server) == {1, 2}, STARTING)
    asked = 0

    def both_have_answered() -> bool:
        nonlocal asked
        for _ in range(5):
            assert server.get("/api/artists/")[0] == 200
            asked += 1
        answered = {
            line["process"] for line in server.events("http_request") if line["status"] == 200
        }
        return answered == {1, 2}

    until(both_have_answered, 20)
    assert server.get("/api/albums/0000000000000000000000/")[0] == 404
    assert server.get("/nothing/here")[0] == 404
    assert server.get("/api/artists/?limit=7")[0] == 200
    artists = "freshet_http_requests_total[lane][GET][/api/artists/][200]"
    until(lambda: samples(server).get(artists) == asked, 5)  # each tells once a second
    time.sleep(1)
    told = samples(server)
    assert {told[f"process_open_fds[{number}]"] > 0 for number in (1, 2)} == {True}
    assert sorted(told[f"freshet_leader[{number}]"] for number in (1, 2)) == [0, 1]
    one = "freshet_http_requests_total[handler][GET][/api/albums/{spotify_id}/][404]"
    assert told[one] == 1
    assert told["freshet_http_requests_total[handler][GET][other][404]"] == 1
    assert told["freshet_http_request_seconds_count[/api/artists/]"] == 1
    assert told["freshet_cache_hits_total"] == asked
    assert told["freshet_cache_misses_total"] == 2
    assert told["freshet_cache_builds_total"] >= 2, "each process makes its own"
    assert told["freshet_syncs_total[complete]"] == 1
    assert told["freshet_sync_seconds_count[complete]"] == 1
    assert told["freshet_token_renewals_total[client_credentials]"] == 1
    before = pids(server)
    os.kill(before[1], signal.SIGKILL)
    os.kill(before[2], signal.SIGKILL)
    until(lambda: all(pids(server)[number] != before[number] for number in (1, 2)), STARTING)
    for _ in range(6):
        server.get("/api/artists/")
    until(lambda: samples(server).get(artists) == asked + 6, 5)
    again = samples(server)
    started = {name: told[name] for name in told if name.startswith("process_start_time")}
    assert len(started) == 2
    assert all(again[name] >= value for name, value in started.items())
    assert not lowered(told, again)
    _lose_the_files(server, place, artists)


def lowered(before: dict[str, float], after: dict[str, float]) -> list[str]:
    """What never goes down, and yet has."""
    counts = [name for name in before if re.search("_total|_count|_bucket", name)]
    return [name for name in counts if after.get(name, -1) < before[name]]


def _has_counted(server: Server, name: str, number: float) -> bool:
    return samples(server)[name] >= number


def _lose_the_files(server: Server, place: Path, name: str) -> None:
    """As a cleaner of temporary files does: counts go on, and a process can start again."""
    (folder,) = place.glob("freshet-metrics-*")
    told = samples(server)
    for number in (1, 2):
        shutil.rmtree(folder)
        server.get("/api/artists/")
        until(lambda: not lowered(told, samples(server)), 10)
        expected = told[name] + number
        until(partial(_has_counted, server, name, expected), 5)
    before = pids(server)
    shutil.rmtree(folder)
    os.kill(before[1], signal.SIGKILL)
    until(lambda: pids(server)[1] != before[1], STARTING)
    until(lambda: samples(server).get("process_open_fds[1]"), 10)
    assert samples(server)[name] > 0
    assert not [line for line in server.lines() if line["event"] == "task_crashed"]


@contextmanager
def listening(url: URL) -> Iterator[Any]:
    """A connection that hears of syncs, as the processes' own do."""
    connection = psycopg2.connect(
        host=url.query["host"], port=url.query["port"], user=url.username, dbname=url.database
    )
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(f"LISTEN {CHANNEL}")
    yield connection
    connection.close()


def moment_of_notice(connection: Any) -> datetime:
    """When the next commit is told."""
    select.select([connection], [], [], 60)
    moment = datetime.now(UTC)
    connection.poll()
    assert len(connection.notifies) == 1
    return moment


def test_all_processes_have_a_sync_within_a_second_of_its_commit(
    run: Run, manage: Manage, database_url: URL, spotify: str
) -> None:
    settings = standin_settings(spotify) | {"SYNC_INTERVAL": "0"}
    env = environment(database_url, **settings)
    server = run("--processes", "3", env=env)
    server.event("server_started", STARTING)
    until(lambda: len(server.events("cache_invalidated")) == 3, STARTING)
    time.sleep(1)
    with ThreadPoolExecutor(1) as pool, listening(database_url) as connection:
        committed = pool.submit(moment_of_notice, connection)
        assert manage("sync", env=env).returncode == 0
        told = committed.result(10)
    until(lambda: len(server.events("cache_invalidated")) == 6, 10)
    lines = server.events("cache_invalidated")[3:6]
    assert {line["process"] for line in lines} == {1, 2, 3}
    times = [datetime.fromisoformat(line["timestamp"]) for line in lines]
    delays = [(moment - told).total_seconds() for moment in times]
    print("seconds after the commit:", sorted(delays))
    assert max(delays) < 1
    for _ in range(9):
        assert orjson.loads(server.get("/api/artists/")[2])["total"] > 0
