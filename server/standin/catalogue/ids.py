"""Ids and random generators derived from a key: the same on every machine and restart."""

import random
from hashlib import blake2b
from typing import Final

BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
VARIOUS_ARTISTS: Final = "0LyfQWJT6nXafLPZqxe9Of"
"""Spotify's own id of the artist called Various Artists."""

_SEPARATOR: Final = "\x1f"
_ID_LENGTH: Final = 22


def _digest(key: tuple[object, ...], size: int) -> bytes:
    return blake2b(_SEPARATOR.join(map(str, key)).encode(), digest_size=size).digest()


def spotify_id(*key: object) -> str:
    """Return the 22 base62 characters derived from `key`: 128 bits, as in Spotify's own ids."""
    number = int.from_bytes(_digest(key, 16), "big")
    characters = []
    for _ in range(_ID_LENGTH):
        number, rest = divmod(number, 62)
        characters.append(BASE62[rest])
    return "".join(reversed(characters))


def hex_id(*key: object, size: int = 12) -> str:
    """Return `size` bytes derived from `key` as lower-case hexadecimal: the end of an image id."""
    return _digest(key, size).hex()


def seeded_random(*key: object) -> random.Random:
    """Return a generator seeded by `key`; nothing here is secret, everything is repeatable."""
    return random.Random(_digest(key, 16))  # noqa: S311 - repeatable is the point
