"""Waiting where no event loop runs; `tests.conftest.until` is for where one does."""

import time
from collections.abc import Callable


def until(condition: Callable[[], object], seconds: float, why: str = "") -> float:
    """Wait for it, looking every 20 ms; how many seconds it took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds, why
        time.sleep(0.02)
    return time.monotonic() - started
