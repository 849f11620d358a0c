"""Builds results from many items so that a faulty item is left out alone. Pure."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An item that was left out, and the error that it raised."""

    item: Any
    error: Exception


def build_each(
    items: Iterable[Item], make: Callable[[Item], Made]
) -> tuple[list[Made], tuple[LeftOut, ...]]:
    """Return `make(item)` for each item, and the items that raised.

    Raises the first error if there are several items and all of them fail, since the fault is not
    in the items then.
    """
    made: list[Made] = []
    faulty: list[LeftOut] = []
    for item in items:
        try:
            made.append(make(item))
        except Exception as error:
            faulty.append(LeftOut(item, error))
    if len(faulty) > 1 and not made:
        raise faulty[0].error
    return made, tuple(faulty)


def build_together(
    items: Sequence[Item], make: Callable[[Sequence[Item]], Made]
) -> tuple[Made, tuple[LeftOut, ...]]:
    """Return `make(items)`, made without the items that cause it to raise, and those items.

    Without an error `make` is called once. After an error the faulty items are found by bisection,
    so `make` has to work for any part of the items, and for none. Raises the error if no item fails
    by itself, or if there are several and all of them do.
    """
    try:
        return make(items), ()
    except Exception:
        faulty = dict(_faulty(items, make, 0))
        if not faulty or len(faulty) == len(items) > 1:
            raise
        good = [item for place, item in enumerate(items) if place not in faulty]
        left_out = tuple(LeftOut(items[place], each) for place, each in faulty.items())
        return make(good), left_out


def _faulty(
    items: Sequence[Item], make: Callable[[Sequence[Item]], Made], start: int
) -> Iterator[tuple[int, Exception]]:
    """Yield the index of each item that raises by itself, counted from `start`, and its error."""
    middle = (len(items) + 1) // 2
    for offset, half in ((0, items[:middle]), (middle, items[middle:])):
        if half:
            try:
                make(half)
            except Exception as error:
                if len(half) == 1:
                    yield start + offset, error
                else:
                    yield from _faulty(half, make, start + offset)
