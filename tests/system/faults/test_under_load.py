"""Servers and processes end while clients ask: who is told to end lets no request fail."""

import asyncio
import os
import signal
from collections.abc import Callable
from functools import partial

import pytest
from sqlalchemy import URL

from tests.support.load_reports import STARTING, begun, told
from tests.support.process_tree import pids, warm
from tests.support.server_processes import Manage, Server, environment, standin_settings
from tests.support.waiting import until
from tests.system.faults.load import CONNECTIONS, FRESH, Load

pytestmark = pytest.mark.slow

Run = Callable[..., Server]
PAUSE = 0.02  # seconds; clients that make none take the time a server needs to start


@pytest.fixture
def env(manage: Manage, database_url: URL, publishing: str) -> dict[str, str]:
    """For servers that have something to serve and fetch nothing more."""
    env = environment(database_url, **standin_settings(publishing))
    env |= {"SYNC_INTERVAL": "0", "ACCESS_LOG": "off"}
    assert manage("sync", env=env).returncode == 0
    return env


def has_ended(server: Server) -> bool:
    return server.process.poll() is not None


def is_refused(load: Load) -> bool:
    return load.refused == CONNECTIONS


def is_another(server: Server, process: int, before: int) -> bool:
    return pids(server)[process] != before


@pytest.mark.gen_test(timeout=300)
async def test_a_server_that_is_told_to_end_answers_all_that_is_asked(
    run: Run, env: dict[str, str], long: bool
) -> None:
    for _ in range(20 if long else 1):
        server = await begun(run(env=env))
        load = Load([server.port], pause=0 if long else PAUSE)
        async with load.running():
            await asyncio.sleep(0.5)
            before = load.answered
            server.process.send_signal(signal.SIGTERM)
            await until(partial(has_ended, server), 10)
            await until(partial(is_refused, load), 10)
        print(f"\nSIGTERM: {told(load)}, {load.answered - before} of them after it")
        assert server.process.returncode == 0
        assert before > 100
        assert load.failed == []
        assert load.again <= CONNECTIONS
        assert load.cut + load.reset <= FRESH


@pytest.mark.gen_test(timeout=300)
async def test_a_process_of_two_that_ends_fails_no_request_and_one_that_is_killed_only_its_own(
    run: Run, env: dict[str, str], long: bool
) -> None:
    server = await begun(run("--processes", "2", env=env))
    await until(lambda: warm(server) == {1, 2}, STARTING)
    for number in range(10 if long else 1):
        for sign in (signal.SIGTERM, signal.SIGKILL):
            before = pids(server)
            victim = number % 2 + 1
            load = Load([server.port], pause=0 if long else PAUSE)
            async with load.running():
                await asyncio.sleep(0.5)
                os.kill(before[victim], sign)
                await until(partial(is_another, server, victim, before[victim]), STARTING)
                await asyncio.sleep(0.5)
            print(f"\n{sign.name} to one of two: {told(load)}")
            assert load.refused == 0
            assert load.answered > 100
            if sign == signal.SIGTERM:
                assert load.failed == []
                assert load.cut + load.reset <= FRESH
            assert len(load.failed) + load.reset <= CONNECTIONS, "what was in flight"
            assert load.again <= CONNECTIONS


@pytest.mark.gen_test(timeout=300)
async def test_two_servers_restarted_one_after_the_other_fail_no_request(
    run: Run, env: dict[str, str], long: bool
) -> None:
    servers = [await begun(run(env=env)), await begun(run(env=env))]
    load = Load([server.port for server in servers], pause=0 if long else PAUSE)
    async with load.running():
        for number in range(10 if long else 2):
            old = servers[number % 2]
            old.process.send_signal(signal.SIGTERM)
            await until(partial(has_ended, old), 10)
            new = run("-p", str(old.port), env=env)
            new.port = old.port
            servers[number % 2] = await begun(new)
    print(f"\nrolling restart: {told(load)}, {load.refused} went to the other server")
    assert load.answered > 100
    assert load.failed == []
    assert load.reset <= (10 if long else 2)
