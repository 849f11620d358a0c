"""The program under a service manager: what that hears, and who is restarted."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import URL

from tests.end_to_end.conftest import Server, environment, standin_settings
from tests.test_notify import manager, wait_for

Run = Callable[..., Server]


def served(run: Run, env: dict[str, str], *arguments: str) -> Server:
    server: Server = run(*arguments, env=env)
    server.event("server_started", 60)
    return server


def test_a_server_says_when_it_is_ready_alive_and_stopping(
    run: Run,
    database_url: URL,
    spotify: str,
    tmp_path: Path,
) -> None:
    address = str(tmp_path / "notify")
    env = environment(database_url, NOTIFY_SOCKET=address, **standin_settings(spotify))
    with manager(address) as heard:
        server = served(run, env | {"WATCHDOG_USEC": "900000"})
        (ready,) = [each for each in wait_for(heard, "READY=1") if each.startswith("READY")]
        assert ready == f"READY=1\nMAINPID={server.process.pid}"
        assert server.get("/healthz")[0] == 200
        wait_for(heard, "WATCHDOG=1", 2)
        os.kill(server.process.pid, signal.SIGSTOP)
        time.sleep(0.2)
        heard()
        time.sleep(1)
        assert heard() == []
        os.kill(server.process.pid, signal.SIGCONT)
        assert server.stop() == 0
        assert "STOPPING=1" in heard()


def test_a_parent_tells_for_all_and_restarts_one_whose_loop_is_stuck(
    run: Run,
    database_url: URL,
    spotify: str,
    tmp_path: Path,
) -> None:
    address = str(tmp_path / "notify")
    env = environment(database_url, NOTIFY_SOCKET=address, **standin_settings(spotify))
    with manager(address) as heard:
        server = served(run, env | {"WATCHDOG_USEC": "3000000"}, "--processes", "2")
        messages = wait_for(heard, "READY=1")
        assert {line["process"] for line in server.events("process_started")} == {1, 2}
        assert f"READY=1\nMAINPID={server.process.pid}" in messages
        pid = server.events("process_started")[0]["pid"]
        os.kill(pid, signal.SIGSTOP)
        assert server.event("process_killed", 20)["reason"] == "its loop has not turned for 3 s"
        died = server.event("process_died")
        assert (died["pid"], died["signal"]) == (pid, "SIGKILL")
        deadline = time.monotonic() + 60
        while len(server.events("process_started")) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        heard()
        wait_for(heard, "WATCHDOG=1", 5)
        assert server.stop() == 0
        assert len(server.events("process_killed")) == 1
        assert "STOPPING=1" in heard()
