"""Timing by turns: noise hits both sides of a comparison, and the median ignores the worst."""

import time
from collections.abc import Callable


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def show(goal: str, reached: float, of: str) -> None:
    print(f"  {of}: {reached:.2f}  (goal {goal})")
