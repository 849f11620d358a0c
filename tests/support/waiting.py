"""Waiting for a condition: `until` in an event loop, `wait_until` where none runs."""

import asyncio
import os
import time
from collections.abc import Callable
from typing import Any

import pytest


def wait_until(condition: Callable[[], object], seconds: float, why: str = "") -> float:
    """Wait for a condition, checked every 20 ms; returns the seconds it took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds, why
        time.sleep(0.02)
    return time.monotonic() - started


@pytest.fixture
def long() -> bool:
    """Return whether to run the long form: FRESHET_SOAK is set."""
    return bool(os.environ.get("FRESHET_SOAK"))


async def until(condition: Callable[[], Any], seconds: float = 30.0) -> None:
    """Wait for a condition, checked every 10 ms; a busy machine may need all `seconds`."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)
