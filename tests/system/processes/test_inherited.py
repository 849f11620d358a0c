"""What a process inherits does not harm it: signals that are ignored or blocked, odd descriptors.

One of each kind is a fresh interpreter, started by a program that leaves its own state behind; the
others come from the fork_server, which runs that program first.
"""

import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL

from tests.support.fork_server import ForkedProcess, ForkServer
from tests.support.ports import free_port, is_open
from tests.support.server_processes import NOTHING, environment
from tests.support.waiting import wait_until

BECOME = "\nimport os, sys\nos.execv(sys.argv[1], sys.argv[1:])"
DEAF = """import signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))"""
CLOSED = "import os\nos.closerange(0, 3)"
END_SECONDS = 10
STARTING = 30.0  # seconds
PIPE_BYTES = 64 * 1024
Process = ForkedProcess | subprocess.Popen[Any]
Start = Callable[..., Process]


@pytest.fixture
def start(manage_py: Path) -> Iterator[Start]:
    """Start a fresh interpreter that inherits what `state`, a program, leaves behind."""
    started: list[Process] = []

    def begin(state: str, *words: str, env: dict[str, str], **options: Any) -> Process:
        command = [sys.executable, "-W", "error", *words]
        made: subprocess.Popen[Any] = subprocess.Popen(
            [sys.executable, "-c", state + BECOME, *command],
            env=env,
            cwd=manage_py.parent,
            start_new_session=True,
            **({"stdout": subprocess.DEVNULL} | options),
        )
        started.append(made)
        return made

    yield begin
    kill_all(started)


@pytest.fixture
def fork(fork_server: ForkServer, manage_py: Path) -> Iterator[Start]:
    """Fork a command that inherits what `state`, a program, leaves behind."""
    started: list[Process] = []

    def begin(state: str, *words: str, env: dict[str, str], **options: Any) -> Process:
        made = fork_server.start(str(manage_py), words, env, state=state, **options)
        started.append(made)
        return made

    yield begin
    kill_all(started)


def kill_all(started: list[Process]) -> None:
    for each in started:
        if each.poll() is None:
            os.killpg(each.pid, signal.SIGKILL)
            each.wait()


def end(process: Process, sign: signal.Signals) -> int:
    """How a process ends by a signal; nothing of its session is left."""
    process.send_signal(sign)
    code = process.wait(END_SECONDS)
    wait_until(lambda: not group_lives(process.pid), END_SECONDS)
    return code


def group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def ask(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


# Signals


def test_a_standin_ends_by_a_sigint_that_its_parent_ignored_and_blocked(start: Start) -> None:
    port = free_port()
    words = ("-m", "server.standin", "--port", str(port))
    process = start(DEAF, *words, env=NOTHING)
    wait_until(lambda: is_open(port), STARTING)
    assert end(process, signal.SIGINT) == 0
    assert not is_open(port)


def test_a_server_ends_by_a_sigint_that_its_parent_ignored_and_blocked(
    start: Start, database_url: URL
) -> None:
    port = free_port()
    env = environment(database_url, SYNC_INTERVAL="0", PORT=str(port))
    process = start(DEAF, "manage.py", "run", env=env)
    wait_until(lambda: is_open(port), STARTING)
    assert ask(port, "/healthz") == 200
    assert end(process, signal.SIGINT) == 0


def test_two_processes_end_by_a_sigterm_that_their_parent_ignored_and_blocked(
    fork: Start, database_url: URL
) -> None:
    port = free_port()
    env = environment(database_url, SYNC_INTERVAL="0", PROCESSES="2", PORT=str(port))
    process = fork(DEAF, "run", env=env)
    wait_until(lambda: is_open(port), STARTING)
    assert ask(port, "/healthz") == 200
    assert end(process, signal.SIGTERM) == 0


def test_commands_end_by_a_sigterm_that_their_parent_ignored_and_blocked(fork: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # a database that never says a word
        silent.settimeout(30)
        env = environment(f"postgresql://me@127.0.0.1:{silent.getsockname()[1]}/freshet")
        commands = ("create_db", "sync", "doctor")
        processes = [fork(DEAF, command, env=env) for command in commands]
        connections = [silent.accept()[0] for _ in commands]
        codes = [end(process, signal.SIGTERM) for process in processes]
        assert codes == [-signal.SIGTERM] * 3
        for each in connections:
            each.close()


# Descriptors


def test_nobody_reads_the_log_and_the_server_answers_all_the_same(
    start: Start, database_url: URL
) -> None:
    port = free_port()
    env = environment(database_url, SYNC_INTERVAL="0", ACCESS_LOG="all", PORT=str(port))
    reading, writing = os.pipe()
    process = start("", "manage.py", "run", env=env, stdout=writing, stderr=writing)
    os.close(writing)
    wait_until(lambda: is_open(port), STARTING)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    for _ in range(PIPE_BYTES // 200 + 100):
        connection.request("GET", "/healthz")
        assert connection.getresponse().read()
    connection.close()
    assert end(process, signal.SIGTERM) == 0
    assert len(os.read(reading, 2 * PIPE_BYTES)) > PIPE_BYTES // 2
    os.close(reading)


def test_the_reader_of_the_log_has_gone_and_the_server_ends_well(
    start: Start, database_url: URL
) -> None:
    port = free_port()
    env = environment(database_url, SYNC_INTERVAL="0", PORT=str(port))
    reading, writing = os.pipe()
    os.close(reading)
    process = start("", "manage.py", "run", env=env, stdout=writing, stderr=writing)
    os.close(writing)
    wait_until(lambda: is_open(port), STARTING)
    assert ask(port, "/healthz") == 200
    assert end(process, signal.SIGTERM) == 0


def test_a_log_on_a_full_disk_ends_well_and_is_counted(fork: Start, database_url: URL) -> None:
    port = free_port()
    env = environment(database_url, SYNC_INTERVAL="0", PORT=str(port))
    process = fork("", "run", env=env, out="/dev/full")
    wait_until(lambda: is_open(port), STARTING)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/metrics")
    metrics = connection.getresponse().read().decode()
    connection.close()
    (line,) = (
        each for each in metrics.splitlines() if each.startswith("freshet_log_lines_dropped_total{")
    )
    assert float(line.rpartition(" ")[2]) >= 1
    assert end(process, signal.SIGTERM) == 0


def test_a_server_that_starts_without_standard_descriptors_ends_well(
    start: Start, database_url: URL
) -> None:
    port = free_port()
    env = environment(database_url, SYNC_INTERVAL="0", PORT=str(port))
    process = start(CLOSED, "manage.py", "run", env=env)
    wait_until(lambda: is_open(port), STARTING)
    for number in range(3):
        assert os.readlink(f"/proc/{process.pid}/fd/{number}") == os.devnull
    assert ask(port, "/healthz") == 200
    assert end(process, signal.SIGTERM) == 0


def test_a_standin_that_starts_without_standard_descriptors_ends_well(start: Start) -> None:
    port = free_port()
    words = ("-m", "server.standin", "--port", str(port))
    process = start(CLOSED, *words, env=NOTHING)
    wait_until(lambda: is_open(port), STARTING)
    assert end(process, signal.SIGTERM) == 0
