"""`kill -9` of the server in the middle of a sync: all of it is there afterwards, or nothing."""

import random
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import orjson
import pytest
from sqlalchemy import URL

from tests.support.cursors import connected
from tests.support.process_tree import heard_of_the_sync, sent_alike
from tests.support.server_processes import Manage, Server, environment, standin_settings
from tests.support.waiting import wait_until
from tests.system.faults.balance import stored
from tests.system.faults.place import (
    ARTISTS,
    OFTEN,
    listed,
    locked,
    next_sync,
    overlaps,
    serves,
    syncs,
)

pytestmark = pytest.mark.slow

Run = Callable[..., Server]
DETAILS = ("images", "genres", "popularity", "followers", "updated_at")
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
    seconds = wait_until(lambda: serves(server), 20)
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
            wait_until(somebody_waits, 20)
            kill(server)
        assert stored(url) == before, f"killed in the transaction, at {table}"

    for moment in moments(200 if long else 1):
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


def served_by(server: Server) -> tuple[str, dict[str, Any]]:
    """When the data was last synced, and the answer."""
    _, told, body = server.get(f"{ARTISTS}?release_limit=200")
    return told["x-last-sync"], orjson.loads(body)


def without_details(answer: dict[str, Any]) -> dict[str, Any]:
    """What syncs alone bring."""
    artists = [
        {name: value for name, value in artist.items() if name not in DETAILS}
        for artist in answer["items"]
    ]
    return {**answer, "items": artists, "as_of": None}


def with_images(answer: dict[str, Any]) -> set[str]:
    return {artist["spotify_id"] for artist in answer["items"] if artist["images"]}


def stored_details(url: URL) -> set[str]:
    """Spotify's ids of the artists that have images."""
    with connected(url) as cursor:
        cursor.execute("SELECT spotify_id FROM artists WHERE images <> '[]'")
        return {row[0] for row in cursor.fetchall()}


def test_what_is_served_after_a_kill_in_a_sync_is_the_sync_before_and_then_the_next_one(
    run: Run, manage: Manage, url: URL, publishing: str
) -> None:
    """Artists' details are no part of a sync: what has come of them is shown a little sooner."""
    env = environment(url, **standin_settings(publishing), **OFTEN)
    env |= {"SYNC_INTERVAL": "8", "PUBLIC_URL": "https://music.example"}
    fill(manage, env, url)
    server = run(env=env)
    wait_until(lambda: stored_details(url), 15)
    with locked(url, "changes") as somebody_waits:
        wait_until(somebody_waits, 20)
        synced_at, before = served_by(server)
        details = stored_details(url)
        assert details > with_images(before), "stored, and not shown yet"
        kill(server)
        server = run(env=env)
        served(server)
        again_at, after = served_by(server)
    assert again_at == synced_at
    assert without_details(after) == without_details(before), "nothing of the sync cut off"
    assert with_images(after) == details
    new = run(env=env | {"SYNC_INTERVAL": "0"})
    served(new)
    wait_until(lambda: served_by(server) == served_by(new) and served_by(new)[0] > synced_at, 30)
    assert without_details(served_by(new)[1]) != without_details(before)


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
                wait_until(partial(serves, server), 20)
            wait_until(somebody_waits, 20)
            if heir.events("leading"):
                leader, heir = heir, leader
            kill(leader)
            seconds.append(wait_until(partial(heir.events, "leading"), 15))
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
