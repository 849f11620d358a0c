"""`kill -9` of the server in the middle of a sync: all of it is there afterwards, or nothing."""

import random
import time
from collections.abc import Callable, Iterator

from sqlalchemy import URL

from tests.end_to_end.conftest import Manage, Server, environment, standin_settings
from tests.end_to_end.test_two_servers import heard_of_the_sync, sent_alike
from tests.faults.balance import stored
from tests.faults.place import (
    OFTEN,
    listed,
    locked,
    next_sync,
    overlaps,
    serves,
    syncs,
    until,
)

Run = Callable[..., Server]
SERVED_SECONDS = 5.0  # from the start of the program to the first answer with content


def fill(manage: Manage, env: dict[str, str], url: URL) -> set[str]:
    """A first sync; what it has brought."""
    result = manage("sync", env=env)
    assert result.returncode == 0, result.stderr
    return stored(url)


def kill(server: Server) -> None:
    server.process.kill()
    server.process.wait()


def served(server: Server) -> float:
    seconds = until(lambda: serves(server), 20)
    assert seconds < SERVED_SECONDS
    return seconds


def test_a_server_killed_in_a_sync_leaves_all_of_it_or_nothing_and_no_lock(
    run: Run, manage: Manage, url: URL, publishing: str, slow_spotify: str, long: bool
) -> None:
    env = environment(url, **standin_settings(publishing), **OFTEN)
    before, seconds = fill(manage, env, url), []

    server = run(env=env | standin_settings(slow_spotify))
    server.event("leading")
    time.sleep(1)
    seconds.append(served(server))
    kill(server)
    assert stored(url) == before, "killed at the fifth page"

    for table in ("albums", "album_artists", "changes", "sync_runs") if long else ("changes",):
        with locked(url, table) as somebody_waits:
            server = run(env=env)
            seconds.append(served(server))
            until(somebody_waits, 20)
            kill(server)
        assert stored(url) == before, f"killed in the transaction, at {table}"

    for moment in moments(200 if long else 2):
        server = run(env=env)
        seconds.append(served(server))
        server.event("leading")
        time.sleep(moment)
        kill(server)
        here = stored(url)
        assert before <= here, f"killed {moment:.2f} s after it led"
        before = here

    due = listed(publishing)
    server = run(env=env)
    synced = next_sync(server)
    assert before | due <= stored(url), "what was missed is fetched"
    assert not server.events("sync_failed")
    assert overlaps(url) == 0
    print(
        f"\n{len(seconds)} servers killed in a sync: 0 lost, 0 half syncs; served again after "
        f"{max(seconds):.1f} s at most, synced after {synced:.1f} s"
    )


def moments(number: int) -> Iterator[float]:
    """Seconds after a server leads, around those in which it syncs."""
    die = random.Random(7)
    return (die.uniform(0, 0.5) for _ in range(number))


def test_a_leader_killed_in_its_transaction_has_an_heir_that_brings_each_release_once(
    run: Run, manage: Manage, url: URL, publishing: str, long: bool
) -> None:
    env = environment(url, **standin_settings(publishing), **OFTEN)
    env |= {"PUBLIC_URL": "https://music.example"}
    before, seconds = fill(manage, env, url), []
    for _ in range(5 if long else 1):
        with locked(url, "changes") as somebody_waits:
            leader, heir = run(env=env), run(env=env)
            idle = run(env=env | {"SYNC_INTERVAL": "0"})
            for server in (leader, heir, idle):
                until(lambda server=server: serves(server), 20)
            until(somebody_waits, 20)
            if heir.events("leading"):
                leader, heir = heir, leader
            kill(leader)
            seconds.append(until(lambda heir=heir: heir.events("leading"), 15))
        due = listed(publishing)
        assert compared(heir, idle) > 30
        here = stored(url)
        assert before | due <= here
        assert overlaps(url) == 0
        for server in (heir, idle):
            server.stop()
        before = here
    print(
        f"\n{len(seconds)} leaders killed in a sync: another leads after {max(seconds):.1f} s at "
        "most, no release twice, both answer the same bytes"
    )


def compared(heir: Server, idle: Server) -> int:
    """How many answers were alike, all between two syncs."""
    for _ in range(5):
        next_sync(heir)
        made, alike = syncs(heir), {}
        moment = heir.get("/api/artists/")[1]["x-last-sync"]
        heard_of_the_sync(idle, moment[:-1])
        try:
            alike = sent_alike(heir, idle)
        except AssertionError:
            if syncs(heir) == made:
                raise
        if alike:
            return len(alike)
    raise AssertionError("no time to compare between two syncs")
