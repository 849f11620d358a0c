"""Bars for a small chart, in the units of its own view box. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

WIDTH, HEIGHT = 600, 100  # the view box; it is stretched to the place it is given
GAP = 0.25  # of the width that a bar has


class Bar(NamedTuple):
    """A bar with its foot on the ground: `top` of its whole, `part_top` of its lower part."""

    x: float
    width: float
    top: float
    part_top: float


class Chart(NamedTuple):
    """All bars, and the value that reaches the very top."""

    bars: list[Bar]
    most: int


def draw(values: Sequence[int], parts: Sequence[int] | None = None) -> Chart:
    """A bar for each value, the first one leftmost; `parts` are what to set off from their foot."""
    most = max(values, default=0)
    step = WIDTH / max(len(values), 1)
    bars = []
    for place, value in enumerate(values):
        part = parts[place] if parts else 0
        x, width = step * (place + GAP / 2), step * (1 - GAP)
        bars.append(Bar(round(x, 2), round(width, 2), _top(value, most), _top(part, most)))
    return Chart(bars, most)


def _top(value: int, most: int) -> float:
    """Where a bar begins, from above; what is not nothing can be seen."""
    if not value:
        return HEIGHT
    return round(min(HEIGHT * (1 - value / most), HEIGHT - 1.5), 2)
