"""A child process: started again when it dies, ever more slowly, and gone when it is to be."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from server.process.child import Child
from tests.support.child_tasks import fail, ignore_the_end, work
from tests.support.loops import Closing
from tests.support.waiting import until


@pytest.mark.gen_test(timeout=60)
async def test_one_that_dies_at_once_is_started_again_ever_more_slowly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.process.child.FIRST_PAUSE", 0.1)
    monkeypatch.setattr("server.process.child.LONGEST_PAUSE", 0.3)
    child = Child(3, fail, tmp_path)
    with capture_logs() as logs:
        running = asyncio.create_task(child.run())
        await until(lambda: len(logs) >= 4, 50)
        child.stop()
        await running
    assert [line["restart_seconds"] for line in logs[:4]] == [0.1, 0.2, 0.3, 0.3]
    assert {(line["event"], line["process"], line["exit_code"]) for line in logs} == {
        ("process_died", 3, 7)
    }
    assert len({line["pid"] for line in logs}) == len(logs)


@pytest.mark.gen_test(timeout=60)
async def test_one_that_has_worked_for_long_is_started_again_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.process.child.EARLY_SECONDS", 0.0)
    child = Child(1, work, tmp_path)
    with capture_logs() as logs:
        running = asyncio.create_task(child.run())
        await until(child.works.is_set, 50)
        (first,) = tmp_path.iterdir()
        os.kill(int(first.name.partition("-")[2]), signal.SIGKILL)
        await until(lambda: len(list(tmp_path.iterdir())) == 2, 50)
        child.stop()
        await running
    died = [line for line in logs if line["event"] == "process_died"]
    assert [(line["signal"], line["restart_seconds"]) for line in died] == [("SIGKILL", 0)]


@pytest.mark.gen_test(timeout=60)
async def test_one_that_does_not_stop_is_killed(tmp_path: Path, closing: Closing) -> None:
    child = Child(1, ignore_the_end, tmp_path)
    running = asyncio.create_task(child.run())
    await until(child.works.is_set, 50)
    child.stop()
    _, slow = await asyncio.wait([running], timeout=0.3)
    assert slow == {running}
    with capture_logs() as logs:
        child.kill("it did not stop in time")
        await asyncio.wait_for(running, 30)
    assert [line["event"] for line in logs] == ["process_killed"]
