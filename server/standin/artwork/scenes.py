"""Pictorial covers and the artists' portraits: seas, hills, nights, records, faces."""

from collections.abc import Sequence
from random import Random
from typing import Final

from server.standin.artwork import motifs
from server.standin.artwork.motifs import Motif, circle, shape, stroke


def sea(rng: Random, colours: Sequence[str]) -> str:
    """Draw waves under a sun, the nearest in front."""
    drawn = [circle(rng.uniform(20, 80), rng.uniform(14, 30), rng.uniform(8, 14), colours[4])]
    for i in range(6):
        top, swell = 30 + i * 13 + rng.uniform(-3, 3), rng.uniform(5, 11)
        path = f"M-30 {top:.3g}q15 {-swell:.3g} 30 0t30 0 30 0 30 0 30 0 30 0V110H-30z"
        slide = f"translate({rng.uniform(0, 25):.3g})"
        drawn.append(shape(path, colours[1 + i % 3], turn=slide))
    return "".join(drawn)


def sunset(rng: Random, colours: Sequence[str]) -> str:
    """Draw a striped sun over a glittering sea."""
    horizon, x, radius = rng.uniform(58, 70), rng.uniform(35, 65), rng.uniform(24, 34)
    sky = shape(f"M0 0h100v{horizon / 2:.3g}H0z", colours[2], 0.25)
    bars = "".join(
        shape(f"M0 {horizon - 4 - 6 * i:.3g}h100v{2.6 - i * 0.5:.2g}H0z", colours[0])
        for i in range(4)
    )
    sea_ = shape(f"M0 {horizon:.3g}h100V100H0z", colours[1])
    glints = "".join(
        stroke(
            f"M{x - rng.uniform(4, 24):.3g} {horizon + 6 + 5 * i:.3g}h{rng.uniform(12, 40):.3g}",
            colours[4],
            1.6,
        )
        for i in range(6)
    )
    return sky + circle(x, horizon - 6, radius, colours[4]) + bars + sea_ + glints


def hills(rng: Random, colours: Sequence[str]) -> str:
    """Draw ridges of mountains behind each other, with a moon."""
    drawn = [circle(rng.uniform(20, 80), rng.uniform(14, 34), rng.uniform(6, 13), colours[4])]
    for i in range(4):
        base = 42 + 15 * i
        points = " ".join(f"{x} {base + rng.uniform(-14, 10):.3g}" for x in range(0, 101, 20))
        drawn.append(shape(f"M0 100L{points} 100 100z", colours[1 + i % 3], 0.9))
    return "".join(drawn)


def night(rng: Random, colours: Sequence[str]) -> str:
    """Draw a crescent among stars, above the windows of a town."""
    stars = "".join(
        circle(rng.uniform(2, 98), rng.uniform(2, 60), rng.uniform(0.3, 1), colours[3])
        for _ in range(18)
    )
    x, y, radius = rng.uniform(25, 75), rng.uniform(20, 38), rng.uniform(10, 17)
    moon = circle(x, y, radius, colours[4])
    moon += circle(x + radius * 0.45, y - radius * 0.2, radius * 0.85, colours[0])
    town, left = [], 0
    while left < 100:
        width, top = rng.choice((8, 11, 15)), rng.uniform(58, 84)
        town.append(shape(f"M{left} 100V{top:.3g}h{width}V100z", colours[1 + left % 2]))
        if rng.random() < 0.7:
            town.append(shape(f"M{left + 3} {top + 5:.3g}h2v3h-2z", colours[4]))
        left += width
    return stars + moon + "".join(town)


def record(rng: Random, colours: Sequence[str]) -> str:
    """Draw a record half out of its sleeve."""
    x = rng.uniform(52, 66)
    grooves = "".join(
        f'<circle cx="{x:.3g}" cy="50" r="{r}" fill="none" stroke="{colours[2]}"'
        ' stroke-width=".6" opacity=".6"/>'
        for r in range(16, 40, 4)
    )
    label = circle(x, 50, 12, colours[4]) + circle(x, 50, 1.6, colours[0])
    sleeve = shape("M8 10h44v80H8z", colours[3])
    bands = "".join(
        shape(f"M8 {rng.randint(2, 7) * 10}h44v{rng.choice((3, 6))}H8z", colours[2])
        for _ in range(3)
    )
    return circle(x, 50, 40, colours[1]) + grooves + label + sleeve + bands


def _head(rng: Random, skin: str, hair: str, coat: str) -> str:
    y, width = rng.uniform(40, 46), rng.uniform(13, 17)
    shoulders = f"M{50 - 2.2 * width:.3g} 100q0-26 {2.2 * width:.3g}-27t{2.2 * width:.3g} 27z"
    neck = f"M44 {y + 8:.3g}h12v22H44z"
    half = width + 1
    crown = f"M{50 - half:.3g} {y:.3g}a{half:.3g} {1.25 * half:.3g} 0 0 1 {2 * half:.3g} 0"
    long = rng.choice(("z", "v16q-4 6-7-4V{0:.3g}z", "q-14-9-30 2z")).format(y - 4)
    face = f'<ellipse cx="50" cy="{y:.3g}" rx="{width:.3g}" ry="{width * 1.25:.3g}" fill="{skin}"/>'
    glasses = stroke(f"M40 {y:.3g}h7m6 0h7", coat, 5) if rng.random() < 0.35 else ""
    return shape(neck, skin) + face + shape(crown + long, hair) + shape(shoulders, coat) + glasses


def portrait(rng: Random, colours: Sequence[str]) -> str:
    """Draw a head and shoulders in flat colours, in front of a disc."""
    halo = circle(rng.uniform(35, 65), rng.uniform(35, 50), rng.uniform(30, 42), colours[1])
    return halo + _head(rng, *rng.sample(colours[2:], 3))


def duo(rng: Random, colours: Sequence[str]) -> str:
    """Draw two heads side by side."""
    left = _head(rng, colours[2], colours[3], colours[4])
    right = _head(rng, colours[2], colours[4], colours[3])
    field = shape("M50 0h50v100H50z", colours[1])
    return (
        f'{field}<g transform="translate(-16 8)scale(.92)">{left}</g>'
        f'<g transform="translate(24 8)scale(.92)">{right}</g>'
    )


COVERS: Final[tuple[Motif, ...]] = (
    motifs.rings,
    motifs.stripes,
    motifs.tiles,
    motifs.rays,
    motifs.dots,
    motifs.petals,
    motifs.ribbons,
    motifs.triangles,
    motifs.arches,
    sea,
    sunset,
    hills,
    night,
    record,
)
PORTRAITS: Final[tuple[Motif, ...]] = (portrait, portrait, portrait, duo, motifs.rings)
