"""A faulty item costs itself alone, and is found without trying every item by itself."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.catalog import isolation


class Faulty(Exception):
    pass


def double(number: int) -> int:
    if number < 0:
        raise Faulty(number)
    return 2 * number


def doubles(numbers: Sequence[int]) -> list[int]:
    return [double(each) for each in numbers]


@given(st.lists(st.integers(-3, 9)).filter(lambda some: len(some) < 2 or max(some) >= 0))
def test_what_raises_is_left_out_and_all_else_is_made(numbers: list[int]) -> None:
    good = [2 * each for each in numbers if each >= 0]
    bad = [each for each in numbers if each < 0]
    for made, left_out in (
        isolation.build_each(numbers, double),
        isolation.build_together(numbers, doubles),
    ):
        assert made == good
        assert [each.item for each in left_out] == bad
        assert [str(each.error) for each in left_out] == list(map(str, bad))


def test_what_fails_with_every_one_of_several_items_is_no_items_fault() -> None:
    with pytest.raises(Faulty):
        isolation.build_each([-1, -2], double)
    with pytest.raises(Faulty):
        isolation.build_together([-1, -2], doubles)


def test_what_fails_without_any_item_or_by_their_number_alone_is_raised() -> None:
    def never(numbers: Sequence[int]) -> None:
        raise Faulty

    def only_few(numbers: Sequence[int]) -> None:
        if len(numbers) > 2:
            raise Faulty

    for make in (never, only_few):
        with pytest.raises(Faulty):
            isolation.build_together([1, 2, 3], make)
    with pytest.raises(Faulty):
        isolation.build_together([1], never)
    with pytest.raises(Faulty):
        isolation.build_together([], never)


def test_one_of_a_thousand_is_found_in_few_tries() -> None:
    tries = 0

    def counted(numbers: Sequence[int]) -> list[int]:
        nonlocal tries
        tries += 1
        return doubles(numbers)

    made, (left_out,) = isolation.build_together([*range(700), -1, *range(300)], counted)
    assert (len(made), left_out.item) == (1000, -1)
    assert tries < 25
    tries = 0
    isolation.build_together(range(1000), counted)
    assert tries == 1, "nothing is tried twice while nothing fails"
