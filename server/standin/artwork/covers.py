"""Covers and portraits: small SVG pictures derived from an image id."""

from random import Random
from typing import Final

from server.standin.artwork import scenes
from server.standin.catalogue.ids import seeded_random
from server.standin.catalogue.spotify_objects import COVER_SIZES, PORTRAIT_SIZES

PALETTES: Final[tuple[tuple[str, str, str, str, str], ...]] = (
    ("#1b2a41", "#324a5f", "#ccc9dc", "#f26430", "#ffd9a0"),
    ("#f4e9cd", "#468189", "#77aca2", "#9dbebb", "#031926"),
    ("#2b193d", "#2c365e", "#4b8f8c", "#c5979d", "#f5dfbb"),
    ("#fdf0d5", "#c1121f", "#780000", "#669bbc", "#003049"),
    ("#0b132b", "#3a506b", "#5bc0be", "#6fffe9", "#f7fff7"),
    ("#ffcdb2", "#ffb4a2", "#e5989b", "#b5838d", "#6d6875"),
    ("#fefae0", "#dda15e", "#bc6c25", "#606c38", "#283618"),
    ("#10002b", "#5a189a", "#9d4edd", "#e0aaff", "#ffd60a"),
    ("#f1faee", "#e63946", "#a8dadc", "#457b9d", "#1d3557"),
    ("#03071e", "#6a040f", "#d00000", "#f48c06", "#ffba08"),
    ("#e9edc9", "#ccd5ae", "#d4a373", "#faedcd", "#5f4b32"),
    ("#012a36", "#29274c", "#7e52a0", "#d295bf", "#e6bccd"),
    ("#f8f4e3", "#2a2b2a", "#706c61", "#ff8c61", "#ffe1c4"),
    ("#dff8eb", "#214e34", "#5c7457", "#979b8d", "#c1bcac"),
    ("#ffe5ec", "#ff8fab", "#fb6f92", "#3d5a80", "#1f2a44"),
    ("#0d1b1e", "#7fb069", "#e6aa68", "#ca3c25", "#fffbbd"),
    ("#caf0f8", "#90e0ef", "#00b4d8", "#0077b6", "#03045e"),
    ("#231942", "#5e548e", "#9f86c0", "#be95c4", "#f6d7e6"),
    ("#f7f7ff", "#fe5f55", "#bdd5ea", "#577399", "#272932"),
    ("#faf3dd", "#c8d5b9", "#8fc0a9", "#68b0ab", "#3d6b62"),
)
"""Background colour first, then three matching colours, then the accent."""

_SIZES: Final = {
    **{prefix: (size, scenes.COVERS) for size, prefix in COVER_SIZES.items()},
    **{prefix: (size, scenes.PORTRAITS) for size, prefix in PORTRAIT_SIZES.items()},
}


def draw(image_id: str) -> bytes | None:
    """Return the SVG of an image id, up to 4 kB; None for an id of unknown size.

    The picture follows from the last 24 characters; the first 16 give kind and size.
    """
    known = _SIZES.get(image_id[:16])
    if known is None:
        return None
    size, choice = known
    rng = seeded_random("picture", image_id[16:])
    palette = _shuffled(rng)
    drawing = rng.choice(choice)(rng, palette)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100" width="{size}"'
        f' height="{size}"><path fill="{palette[0]}" d="M0 0h100v100H0z"/>{drawing}</svg>'
    ).encode()


def _shuffled(rng: Random) -> tuple[str, ...]:
    """Return a palette in random order, whose background is its lightest or darkest colour."""
    palette = list(rng.choice(PALETTES))
    if rng.random() < 0.3:
        palette.reverse()
    return palette[0], *rng.sample(palette[1:], 4)
