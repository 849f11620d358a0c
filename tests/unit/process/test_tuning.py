"""Pauses of the loop are short: threads give way, and garbage is looked for in small heaps."""

import asyncio
import gc
import os
import sys
from collections.abc import Iterator

import pytest

from server.process import tuning
from server.threads import NICER, Threads


@pytest.fixture
def python_as_it_was() -> Iterator[None]:
    """What is set here is set for the whole process."""
    interval, thresholds = sys.getswitchinterval(), gc.get_threshold()
    gc.unfreeze()  # see conftest.py
    yield
    sys.setswitchinterval(interval)
    gc.set_threshold(*thresholds)
    gc.freeze()


@pytest.mark.usefixtures("python_as_it_was")
@pytest.mark.gen_test
async def test_what_is_there_at_the_start_is_left_out_of_later_collections() -> None:
    read = asyncio.Event()
    task = asyncio.create_task(tuning.freeze_startup(read))
    await asyncio.sleep(0)
    assert gc.get_freeze_count() == 0
    read.set()
    await task
    assert gc.get_freeze_count() > 10_000
    assert gc.get_threshold()[2] <= 10, "what comes later must not pile up for days"


@pytest.mark.usefixtures("python_as_it_was")
def test_threads_give_way_sooner_than_by_default() -> None:
    tuning.keep_pauses_short()
    assert sys.getswitchinterval() < 0.001
    assert gc.get_threshold()[0] > 700


@pytest.mark.skipif(
    sys.platform != "linux", reason="threads elsewhere have no niceness of their own"
)
@pytest.mark.gen_test
async def test_threads_are_nicer_than_the_loop_unless_they_start_programs() -> None:
    ours, theirs = os.getpriority(os.PRIO_PROCESS, 0), []
    for threads in (Threads(1), Threads(1, gives_way=False)):
        theirs.append(await threads.call(os.getpriority, os.PRIO_PROCESS, 0))
        threads.close(1.0)
    assert theirs == [min(ours + NICER, 19), ours]
