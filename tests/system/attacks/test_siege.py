"""What counts as withstanding an attack, by figures that are made up."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.system.attacks.siege import Clock, Outcome, Span, faults

CALM = Span(p50=0.2, p99=0.5, control=0.3, failures=[])
GOOD = Outcome(
    name="none",
    idle=CALM,
    during=CALM,
    before=100.0,
    peak=150.0,
    after=105.0,
    opened_before=20,
    opened_after=20,
    recovery=0.0,
    cpu=0.5,
    starved=0.0,
    crashes=0,
    told={},
)


def test_a_server_that_others_do_not_notice_the_attack_at_has_no_fault() -> None:
    assert faults(GOOD) == []


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"during": replace(CALM, p99=11.0)}, "others wait 11.0 ms, not 10.0"),
        ({"during": replace(CALM, failures=["closed"])}, "others fail: ['closed']"),
        ({"peak": 201.0}, "201 MB"),
        ({"after": 111.0}, "111 MB stay of 100"),
        ({"crashes": 2}, "2 exceptions are logged"),
        ({"opened_after": 21}, "21 descriptors stay"),
        ({"starved": 0.5, "during": replace(CALM, p50=11.0)}, "others wait 11.0 ms, not 10.0"),
    ],
)
def test_what_others_wait_and_what_stays_are_faults(changed: dict[str, object], fault: str) -> None:
    assert faults(replace(GOOD, **changed)) == [fault]  # type: ignore[arg-type]


def test_on_a_busy_machine_one_answer_in_a_hundred_is_no_fault() -> None:
    slow = replace(CALM, p99=50.0)
    assert faults(replace(GOOD, during=slow))
    assert faults(replace(GOOD, during=replace(slow, control=20.0))) == []
    assert faults(replace(GOOD, during=slow, starved=0.2)) == []


def test_a_second_without_an_answer_counts_as_the_hundred_that_were_due_in_it(
    tmp_path: Path,
) -> None:
    noted = tmp_path / "noted"
    noted.write_text("10.0 0.001\n10.01 1.0\n11.01 0.001\n11.02 -1 closed\n12.0 0.5\n")
    seconds, failures = Clock.read(noted, 10.0, 11.5)
    assert len(seconds) == 102
    assert sum(each > 0.505 for each in seconds) == 50
    assert failures == ["closed"]
