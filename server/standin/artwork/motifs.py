"""SVG shapes on a square of 100 units, and the geometric covers that are made of them."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import cos, pi, sin
from random import Random

Motif = Callable[[Random, Sequence[str]], str]
"""Draws with a random generator and five colours, the first of which is the background."""


def circle(x: float, y: float, radius: float, colour: str, opacity: float = 1) -> str:
    """Draw a disc."""
    return f'<circle cx="{x:.3g}" cy="{y:.3g}" r="{radius:.3g}" {_fill(colour, opacity)}/>'


def shape(path: str, colour: str, opacity: float = 1, turn: str = "") -> str:
    """Draw a filled path, moved by the transform `turn`."""
    moved = f' transform="{turn}"' if turn else ""
    return f'<path d="{path}" {_fill(colour, opacity)}{moved}/>'


def stroke(path: str, colour: str, width: float) -> str:
    """Draw a line with round ends."""
    return (
        f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{width:.3g}"'
        ' stroke-linecap="round" stroke-linejoin="round"/>'
    )


def _fill(colour: str, opacity: float) -> str:
    return f'fill="{colour}"' + (f' opacity="{opacity:.2g}"' if opacity < 1 else "")


def rings(rng: Random, colours: Sequence[str]) -> str:
    """Draw rings around a point, like those of rain on water."""
    x, y, step = rng.uniform(20, 80), rng.uniform(20, 80), rng.uniform(6, 10)
    count = int(105 / step)
    return "".join(circle(x, y, step * (count - i), colours[1 + i % 4]) for i in range(count))


def stripes(rng: Random, colours: Sequence[str]) -> str:
    """Draw parallel stripes of different widths."""
    place, drawn = -30, []
    while place < 130:
        breadth = rng.choice((3, 5, 8, 13))
        drawn.append(shape(f"M{place}-60h{breadth}v220h-{breadth}z", rng.choice(colours[1:])))
        place += breadth + rng.choice((0, 0, 3, 6))
    angle = rng.choice((0, 30, 45, 60, 90, 120, 135))
    return f'<g transform="rotate({angle} 50 50)">{"".join(drawn)}</g>'


def tiles(rng: Random, colours: Sequence[str]) -> str:
    """Draw a pavement of quarter circles, half squares and lenses."""
    side = rng.choice((20, 25, 50))
    half = side / 2
    outlines = (
        f"M0 0H{side}A{side} {side} 0 0 1 0 {side}z",
        f"M0 0H{side}V{side}z",
        f"M0 0H{side}V{half:g}H0z",
        f"M0 0A{side} {side} 0 0 1 {side} {side}A{side} {side} 0 0 1 0 0z",
    )
    drawn = []
    for place in range((100 // side) ** 2):
        y, x = divmod(place * side, 100)
        turn = f"translate({x} {y * side})rotate({rng.choice((0, 90, 180, 270))} {half:g} {half:g})"
        drawn.append(shape(rng.choice(outlines), rng.choice(colours[1:]), turn=turn))
    return "".join(drawn)


def rays(rng: Random, colours: Sequence[str]) -> str:
    """Draw rays from a point low in the picture."""
    x, y, count = rng.uniform(10, 90), rng.uniform(60, 100), rng.choice((16, 20, 24, 32))
    angles = [2 * pi * i / count for i in range(count + 1)]
    points = [f"{x + 160 * cos(a):.3g} {y + 160 * sin(a):.3g}" for a in angles]
    drawn = [
        shape(f"M{x:.3g} {y:.3g}L{start} {end}z", colours[1 + i % 2])
        for i, (start, end) in enumerate(pairwise(points))
    ]
    return "".join(drawn) + circle(x, y, rng.uniform(10, 24), colours[4])


def dots(rng: Random, colours: Sequence[str]) -> str:
    """Draw a screen of dots that grow towards one corner, over a disc."""
    left, top = rng.choice((0, 100)), rng.choice((0, 100))
    drawn = []
    for x in range(5, 100, 15):
        for y in range(5, 100, 15):
            far = ((x - left) ** 2 + (y - top) ** 2) ** 0.5 / 141
            drawn.append(circle(x, y, 0.8 + 6.2 * (1 - far), colours[1]))
    disc = circle(100 - 0.7 * left - 15, 50, rng.uniform(18, 28), colours[3])
    return disc + "".join(drawn)


def petals(rng: Random, colours: Sequence[str]) -> str:
    """Draw translucent petals around a centre."""
    count, length, width = rng.choice((5, 6, 8, 9, 12)), rng.uniform(34, 46), rng.uniform(12, 26)
    tip, left, right = 50 - length, 50 - width, 50 + width
    path = f"M50 50C{left:.3g} 40 {left:.3g} {tip:.3g} 50 {tip:.3g}"
    path += f"S{right:.3g} 40 50 50z"
    drawn = [
        shape(path, colours[1 + i % 3], 0.8, f"rotate({360 * i / count:.4g} 50 50)")
        for i in range(count)
    ]
    return "".join(drawn) + circle(50, 50, rng.uniform(5, 10), colours[4])


def ribbons(rng: Random, colours: Sequence[str]) -> str:
    """Draw ribbons that swing across side by side."""
    bends = [rng.uniform(-50, 60) for _ in range(2)]
    start = rng.uniform(10, 40)
    drawn = []
    for i in range(7):
        y = start + 8 * i
        path = f"M-5 {y:.3g}C30 {y + bends[0]:.3g} 65 {y + bends[1]:.3g} 105 {y - bends[0] / 2:.3g}"
        drawn.append(stroke(path, colours[1 + i % 4], 6.4))
    return "".join(drawn)


def triangles(rng: Random, colours: Sequence[str]) -> str:
    """Draw a carpet of triangles."""
    drawn = []
    for row in range(5):
        for column in range(-1, 10):
            if rng.random() < 0.18:
                continue
            x, y = column * 11.1, row * 20
            up = f"M{x:.3g} {y + 20}h22.2l-11.1-20z"
            down = f"M{x:.3g} {y}h22.2l-11.1 20z"
            upright = (row + column) % 2 == 0
            drawn.append(shape(up if upright else down, rng.choice(colours[1:])))
    return "".join(drawn)


def arches(rng: Random, colours: Sequence[str]) -> str:
    """Draw rainbows, upright or not, each in a field of its own."""
    fields = rng.choice((1, 2))
    side = 100 / fields
    drawn = []
    for place in range(fields**2):
        x, y = place % fields * side, place // fields * side
        turn = f"rotate({rng.choice((0, 90, 180, 270))} {x + side / 2:g} {y + side / 2:g})"
        bows = []
        for i in range(4):
            radius = side / 2 * (1 - i * 0.23)
            left, foot = x + side / 2 - radius, y + side
            path = f"M{left:.3g} {foot:.3g}V{y + side / 2:.3g}"
            path += f"a{radius:.3g} {radius:.3g} 0 0 1 {2 * radius:.3g} 0V{foot:.3g}z"
            bows.append(shape(path, colours[1 + (i + place) % 4]))
        drawn.append(f'<g transform="{turn}">{"".join(bows)}</g>')
    return "".join(drawn)
