"""What a service manager is told, on real datagram sockets."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from server.process.systemd import Notifier
from tests.support.systemd import manager


@pytest.mark.parametrize("abstract", [False, True])
def test_messages_arrive_by_path_and_by_abstract_name(tmp_path: Path, abstract: bool) -> None:
    address = f"@freshet-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with manager(address) as heard:
        notifier = Notifier.of({"NOTIFY_SOCKET": address})
        notifier.ready()
        notifier.alive()
        notifier.stopping()
        assert heard() == [f"READY=1\nMAINPID={os.getpid()}", "WATCHDOG=1", "STOPPING=1"]


def test_what_is_meant_for_this_process_is_not_handed_on() -> None:
    given = {
        "NOTIFY_SOCKET": "/run/notify",
        "WATCHDOG_USEC": "30000000",
        "WATCHDOG_PID": str(os.getpid()),
        "PATH": "/bin",
    }
    assert Notifier.of(given).patience == 30
    assert given == {"PATH": "/bin"}


@pytest.mark.parametrize(
    ("given", "patience"),
    [
        ({}, 0),
        ({"NOTIFY_SOCKET": "/x"}, 0),
        ({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "1500000"}, 1.5),
        ({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "1500000", "WATCHDOG_PID": "1"}, 0),
        ({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "soon"}, 0),
        ({"WATCHDOG_USEC": "1500000"}, 0),
        ({"NOTIFY_SOCKET": "vsock:2:1234", "WATCHDOG_USEC": "1500000"}, 0),
    ],
)
def test_a_watchdog_counts_only_if_it_waits_for_us(given: dict[str, str], patience: float) -> None:
    assert Notifier.of(dict(given)).patience == patience


def test_a_manager_that_is_gone_or_does_not_read_holds_nobody_up(tmp_path: Path) -> None:
    Notifier("").ready()
    Notifier(str(tmp_path / "nobody")).ready()
    address = str(tmp_path / "full")
    with manager(address) as heard:
        began = time.monotonic()
        for _ in range(2000):
            Notifier(address).alive()
        assert time.monotonic() - began < 5
        assert 0 < len(heard()) < 2000


@pytest.mark.gen_test
async def test_signs_of_life_end_when_the_loop_is_stuck(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with manager(address) as heard:
        with Notifier(address, patience=0.3).watched():
            await asyncio.sleep(0.55)
            assert len(heard()) >= 3
            time.sleep(0.5)  # noqa: ASYNC251 - this is what is to be noticed
            assert heard() == []
            await asyncio.sleep(0.15)
            assert heard()
        await asyncio.sleep(0.2)
        assert heard() == []
