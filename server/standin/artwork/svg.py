"""The few SVG marks that covers are made of, on a square of 100 units."""

from collections.abc import Callable, Sequence
from random import Random

Motif = Callable[[Random, Sequence[str]], str]
"""Draws with dice and five colours, of which the first is the ground already painted."""


def circle(x: float, y: float, radius: float, colour: str, opacity: float = 1) -> str:
    """A disc."""
    return f'<circle cx="{x:.3g}" cy="{y:.3g}" r="{radius:.3g}" {_fill(colour, opacity)}/>'


def shape(path: str, colour: str, opacity: float = 1, turn: str = "") -> str:
    """A filled path, moved by the transform `turn`."""
    moved = f' transform="{turn}"' if turn else ""
    return f'<path d="{path}" {_fill(colour, opacity)}{moved}/>'


def stroke(path: str, colour: str, width: float) -> str:
    """A line with round ends."""
    return (
        f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{width:.3g}"'
        ' stroke-linecap="round" stroke-linejoin="round"/>'
    )


def _fill(colour: str, opacity: float) -> str:
    return f'fill="{colour}"' + (f' opacity="{opacity:.2g}"' if opacity < 1 else "")
