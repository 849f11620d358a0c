"""Making something of many items so that a faulty one costs itself alone. Pure."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An item that had to be left out, and the error that it raised."""

    item: Any
    error: Exception


def each(
    items: Iterable[Item], make: Callable[[Item], Made]
) -> tuple[list[Made], tuple[LeftOut, ...]]:
    """Make something of each item; those that raise are left out.

    Raises the first error if several items all fail, for then it is no fault of an item.
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


def together(
    items: Sequence[Item], make: Callable[[Sequence[Item]], Made]
) -> tuple[Made, tuple[LeftOut, ...]]:
    """Make one thing of all items; without those of which it cannot be made.

    Costs nothing while nothing raises. Then items are told apart by halving, so `make` has to work
    for any part of them, also for none. Raises the error if no item is at fault by itself, or if
    several all are.
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
    """The places of items that raise by themselves, from `start` on, with their errors."""
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
