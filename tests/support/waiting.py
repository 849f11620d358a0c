"""Waiting for a condition: `until` in an event loop, `wait_until` where none runs."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest


def pauses(longest: float) -> Iterator[float]:
    """Yield ever more seconds to sleep: a short wait ends soon, and a long one costs little."""
    pause = 0.001
    while True:
        yield pause
        pause = min(pause * 1.5, longest)


def wait_until(condition: Callable[[], object], seconds: float, why: str = "") -> float:
    """Wait for a condition, checked at least every 20 ms; returns the seconds it took."""
    started = time.monotonic()
    pause = pauses(0.02)
    while not condition():
        assert time.monotonic() - started < seconds, why
        time.sleep(next(pause))
    return time.monotonic() - started


@pytest.fixture
def long() -> bool:
    """Return whether to run the long form: FRESHET_SOAK is set."""
    return bool(os.environ.get("FRESHET_SOAK"))


async def until(condition: Callable[[], Any], seconds: float = 120.0) -> None:
    """Wait for a condition, checked at least every 20 ms; a busy machine may need all `seconds`."""
    pause = pauses(0.02)
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(next(pause))
