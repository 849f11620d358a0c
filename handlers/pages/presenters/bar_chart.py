"""The geometry of a small bar chart, in units of its SVG view box. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

WIDTH, HEIGHT = 600, 100  # of the view box, which the page scales
GAP = 0.25  # between bars, as a share of the space per bar


class Bar(NamedTuple):
    """A bar with its lower edge at HEIGHT; `part_top` is the upper edge of the highlighted part."""

    x: float
    width: float
    top: float
    part_top: float


class Chart(NamedTuple):
    """All bars, and the largest value, whose bar has the full height."""

    bars: list[Bar]
    most: int


def draw(values: Sequence[int], parts: Sequence[int] | None = None) -> Chart:
    """Return a bar per value, from left to right; `parts` are the highlighted parts of values."""
    most = max(values, default=0)
    step = WIDTH / max(len(values), 1)
    bars = []
    for place, value in enumerate(values):
        part = parts[place] if parts else 0
        x, width = step * (place + GAP / 2), step * (1 - GAP)
        bars.append(Bar(round(x, 2), round(width, 2), _top(value, most), _top(part, most)))
    return Chart(bars, most)


def _top(value: int, most: int) -> float:
    """Return the upper edge of a bar; any value above 0 gets a visible bar."""
    if not value:
        return HEIGHT
    return round(min(HEIGHT * (1 - value / most), HEIGHT - 1.5), 2)
