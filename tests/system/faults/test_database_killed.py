"""PostgreSQL is killed or frozen: reads go on, and afterwards everything comes back by itself."""

import os
import shutil
import time
from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import URL

from tests.support.cursors import connected
from tests.support.process_tree import warm
from tests.support.server_processes import Server, environment, standin_settings
from tests.support.waiting import wait_until
from tests.system.faults.balance import stored
from tests.system.faults.place import (
    OFTEN,
    Frail,
    Reader,
    embedded,
    listed,
    locked,
    murder,
    next_sync,
    overlaps,
    postmaster,
    serves,
)

pytestmark = pytest.mark.slow

Run = Callable[..., Server]
BACK_SECONDS = 5.0  # from the death of an embedded PostgreSQL until it serves again
READ_MILLISECONDS = 150  # 97 of 100 reads, on a machine that has other things to do as well


def settled(run: Run, url: URL | str, spotify: str, *arguments: str, **settings: str) -> Server:
    """A server with something to serve."""
    env = environment(url, **standin_settings(spotify), **{**OFTEN, **settings})
    server = run(*arguments, env=env)
    server.event("sync_finished", 30)
    wait_until(lambda: serves(server), 20)
    return server


def judge(reader: Reader) -> str:
    assert not reader.failures
    assert len(reader.seconds) > 100
    took = reader.percentile(0.97)
    assert took < READ_MILLISECONDS
    return f"{len(reader.seconds)} reads, 0 failed, p97 {took:.0f} ms"


def test_a_database_killed_at_rest_and_in_a_sync_loses_nothing_and_no_read_fails(
    run: Run, frail: Frail, url: URL, publishing: str, long: bool
) -> None:
    server = settled(run, url, publishing)
    repeats, waits = 20 if long else 1, []
    with Reader(server) as reader, Reader(server, "/api/albums/?q=a&limit=7") as other:
        for _ in range(repeats):
            here = stored(url)
            frail.kill()  # at rest, or wherever it was
            time.sleep(2)
            assert server.get("/readyz")[0] == 503
            frail.revive()
            assert here <= stored(url)
            due = listed(publishing)
            waits.append(next_sync(server, 60))
            assert here | due <= stored(url)
            with locked(url, "changes") as somebody_waits:
                wait_until(somebody_waits, 20)
                here = stored(url)
                frail.kill()
            frail.revive()
            assert here == stored(url), "all of a sync or nothing"
            due = listed(publishing)
            waits.append(next_sync(server, 60))
            assert here | due <= stored(url)
    wait_until(lambda: server.get("/readyz")[0] == 200, 10)
    assert overlaps(url) == 0
    assert not server.events("task_crashed") + server.events("request_crashed")
    assert server.process.poll() is None
    print(
        f"\nPostgreSQL killed {2 * repeats} times: 0 lost, next sync complete after "
        f"{max(waits):.1f} s at most; {judge(reader)}; {judge(other)}"
    )


@pytest.mark.parametrize("processes", ["1", "2"] if os.environ.get("FRESHET_SOAK") else ["2"])
def test_an_embedded_database_that_is_killed_comes_back_by_itself(
    run: Run,
    made_cluster: Path,
    tmp_path: Path,
    publishing: str,
    long: bool,
    processes: str,
) -> None:
    folder = shutil.copytree(made_cluster, tmp_path / "data")
    server = settled(run, f"embedded:{folder}", publishing, "--processes", processes)
    if processes == "2":  # one is warm a moment before the other, when a first sync has ended
        wait_until(lambda: warm(server) == {1, 2}, 20)
    repeats, waits, synced = 10 if long else 1, [], []
    with Reader(server) as reader:
        for _ in range(repeats):
            here = stored(embedded(folder))
            murder(postmaster(folder))
            waits.append(wait_until(lambda: ready(server), BACK_SECONDS))
            assert here <= stored(embedded(folder))
            due = listed(publishing)
            synced.append(next_sync(server, 60))
            assert here | due <= stored(embedded(folder))
    assert len(server.events("database_started")) == 1 + repeats
    print(
        f"\nembedded PostgreSQL under {processes} killed {repeats} times: 0 lost, back after "
        f"{max(waits):.1f} s at most, next sync after {max(synced):.1f} s more; {judge(reader)}"
    )


def ready(server: Server) -> bool:
    return server.get("/readyz")[0] == 200


def test_a_frozen_database_holds_up_no_read_and_no_sync_comes_twice(
    run: Run, frail: Frail, url: URL, publishing: str, long: bool
) -> None:
    server = settled(run, url, publishing)
    here = stored(url)
    with Reader(server) as reader, Reader(server, "/api/albums/?q=a&limit=7") as other:
        began = time.monotonic()
        frail.freeze()
        try:
            status, _, body = server.get("/readyz")
            assert status == 503
            assert b"the database did not answer" in body
            time.sleep(max(began + (60 if long else 8) - time.monotonic(), 0))
        finally:
            frail.thaw()
        wait_until(lambda: ready(server), 10)
        due = listed(publishing)
        waited = next_sync(server, 90)
        assert here | due <= stored(url)
        time.sleep(2)  # in which another one would come
    assert overlaps(url) == 0
    assert least_distance(url) > 3, "no two syncs instead of one"
    assert not server.events("task_crashed")
    print(
        f"\nPostgreSQL frozen for {60 if long else 8} s: next sync complete after {waited:.1f} s, "
        f"none twice; {judge(reader)}; {judge(other)}"
    )


def least_distance(url: URL) -> float:
    """Seconds between the ends of two complete syncs."""
    with connected(url) as cursor:
        cursor.execute("SELECT finished_at FROM sync_runs WHERE outcome = 'complete' ORDER BY id")
        times: list[datetime] = [row[0] for row in cursor.fetchall()]
    return min((after - before).total_seconds() for before, after in pairwise(times))
