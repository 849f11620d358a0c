"""Several servers on one database: one of them syncs, and another when that one has gone."""

import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import orjson
from sqlalchemy import URL

from server.standin import read_faults
from tests.support.databases import NewDatabase
from tests.support.fork_server import ForkServer
from tests.support.server_processes import (
    Manage,
    Server,
    environment,
    standin_process,
    standin_settings,
)
from tests.support.waiting import wait_until

OFTEN = {"SYNC_INTERVAL": "5", "QUOTA_PER_DAY": "1000000"}
Run = Callable[..., Server]


def events(server: Server, name: str) -> list[str]:
    return [line["timestamp"] for line in server.lines() if line["event"] == name]


def knows_the_next_sync(server: Server) -> bool:
    """Also where others will make it."""
    status = orjson.loads(server.get("/api/status")[2])
    return bool(status["next_sync_at"] > status["last_sync_at"])


def test_another_leads_when_the_leader_has_gone(
    run: Run, new_database: NewDatabase, migrated: str, spotify: str
) -> None:
    """Whether it was killed, stopped or frozen: three pairs of servers, all at the same time."""
    with ThreadPoolExecutor() as pool, ExitStack() as databases:
        signs = (signal.SIGSTOP, signal.SIGKILL, signal.SIGTERM)
        urls = [databases.enter_context(new_database(migrated)) for _ in signs]
        going = [
            pool.submit(another_leads, run, environment(url, **standin_settings(spotify)), sign)
            for url, sign in zip(urls, signs, strict=True)
        ]
        for each in going:
            each.result()


def another_leads(run: Run, env: dict[str, str], sign: signal.Signals) -> None:
    env = env | OFTEN
    first = run(env=env)
    first.event("sync_finished")
    second, idle = run(env=env), run(env=env | {"SYNC_INTERVAL": "0"})
    second.event("server_started")
    idle.event("server_started")
    wait_until(lambda: len(events(first, "sync_finished")) >= 2, 20)
    assert not events(second, "leading")
    assert not events(second, "sync_finished"), "one on the same database syncs, not two"
    wait_until(lambda: knows_the_next_sync(second), 5)
    first.process.send_signal(sign)
    took = wait_until(lambda: events(second, "leading"), 15)
    print(f"another leads {took:.1f} s after {sign.name}")
    if sign != signal.SIGSTOP:
        assert took < 5
    second.event("sync_finished", 15)
    if sign == signal.SIGSTOP:
        first.process.send_signal(signal.SIGCONT)
        wait_until(lambda: events(first, "leading_ended"), 10)
        made = len(events(first, "sync_finished"))
        wait_until(lambda: len(events(second, "sync_finished")) >= 3, 20)
        assert len(events(first, "sync_finished")) <= made + 1, "but one it was in the middle of"
    assert not events(idle, "leading"), "who makes no syncs does not lead"


def test_a_command_says_that_a_server_is_syncing_and_works_when_it_has_ended(
    run: Run, manage: Manage, fork_server: ForkServer, database_url: URL, tmp_path: Path
) -> None:
    faults = tmp_path / "faults.json"
    faults.write_text('[{"fault": "slow", "path": "/v1/search", "times": 4, "seconds": 1.5}]')
    assert read_faults(faults.read_bytes())
    with standin_process("--faults", str(faults), fork_server=fork_server) as spotify:
        env = environment(database_url, **standin_settings(spotify))
        server = run(env=env)
        server.event("leading")
        wait_until(lambda: events(server, "token_refreshed"), 10)
        result = manage("sync", env=env)
        assert (result.returncode, result.stdout) == (1, "")
        assert "another process is syncing" in result.stderr
        assert "Traceback" not in result.stderr
        server.event("sync_finished", 40)
        result = manage("sync", env=env)
        assert result.returncode == 0, result.stderr
