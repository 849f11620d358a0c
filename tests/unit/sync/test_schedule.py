"""Syncs come at their interval, sooner after a failure, and never within a pause."""

import pytest

from server.sync.schedule import Schedule


class Timer:
    def __init__(self) -> None:
        self.seconds = 50.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def timer() -> Timer:
    return Timer()


@pytest.fixture
def schedule(timer: Timer) -> Schedule:
    return Schedule(1800, timer)


def wait(schedule: Schedule, timer: Timer) -> int:
    """Whole seconds until a sync is due."""
    started = timer.seconds
    while not schedule.is_due():
        timer.seconds += 1
    return int(timer.seconds - started)


def test_the_first_sync_is_due_at_once(schedule: Schedule) -> None:
    assert schedule.is_due()


def test_after_a_success_the_next_is_due_after_the_interval(
    schedule: Schedule, timer: Timer
) -> None:
    for _ in range(20):
        schedule.plan(failed=False)
        assert wait(schedule, timer) == pytest.approx(1800, rel=0.06)


def test_after_failures_the_next_is_due_soon_but_ever_later(
    schedule: Schedule, timer: Timer
) -> None:
    waits = []
    for _ in range(30):
        schedule.plan(failed=True)
        waits.append(wait(schedule, timer))
    assert waits[:4] == [pytest.approx(seconds, abs=13) for seconds in (30, 60, 120, 240)]
    assert waits[-1] == pytest.approx(1800, rel=0.06), "never later than after a success"


def test_a_success_ends_the_haste(schedule: Schedule, timer: Timer) -> None:
    schedule.plan(failed=True)
    schedule.plan(failed=False)
    schedule.plan(failed=True)
    assert wait(schedule, timer) == pytest.approx(30, abs=3)


def test_nothing_is_due_within_a_pause(schedule: Schedule, timer: Timer) -> None:
    schedule.pause(86_400)
    schedule.plan(failed=True)
    assert wait(schedule, timer) == 86_400


def test_a_shorter_pause_does_not_end_a_longer_one(schedule: Schedule, timer: Timer) -> None:
    schedule.pause(86_400)
    schedule.pause(11)
    assert wait(schedule, timer) == 86_400


@pytest.mark.parametrize("failed", [True, False])
def test_nothing_is_due_before_the_quota_has_room_for_it(
    schedule: Schedule, timer: Timer, failed: bool
) -> None:
    schedule.plan(failed=failed, room_in=5000)
    assert wait(schedule, timer) == 5000


def test_syncs_lie_as_far_apart_as_the_quota_asks(schedule: Schedule, timer: Timer) -> None:
    schedule.plan(failed=False, spacing=4000)
    assert wait(schedule, timer) == 4000
    assert schedule.interval == 4000
    schedule.plan(failed=False, spacing=100)
    assert wait(schedule, timer) == pytest.approx(1800, rel=0.06)
    assert schedule.interval == 1800


def test_waits_vary_by_a_twentieth_and_no_more(schedule: Schedule) -> None:
    waits = set()
    for _ in range(500):
        schedule.plan(failed=False)
        waits.add(schedule.seconds_left())
    assert 1800 * 0.95 <= min(waits) < 1800 * 0.97
    assert 1800 * 1.03 < max(waits) <= 1800 * 1.05


def test_haste_varies_as_well_and_never_outlasts_the_spacing(schedule: Schedule) -> None:
    waits = set()
    for _ in range(500):
        schedule.failures = 0
        schedule.plan(failed=True, spacing=4000)
        waits.add(schedule.seconds_left())
    assert 28.5 <= min(waits) < 29.1
    assert 30.9 < max(waits) <= 31.5
    schedule.failures = 1000
    schedule.plan(failed=True, spacing=4000)
    assert schedule.seconds_left() == 4000


def test_failures_are_counted_until_a_success(schedule: Schedule) -> None:
    counts = []
    for failed in (True, True, False, True):
        schedule.plan(failed=failed)
        counts.append(schedule.failures)
    assert counts == [1, 2, 0, 1]


@pytest.mark.parametrize(
    ("age", "failed", "room_in", "seconds"),
    [
        (0, False, 0, 1800),
        (600, False, 0, 1200),
        (1800, False, 0, 0),
        (5000, False, 0, 0),
        (-600, False, 0, 1800),
        (0, True, 0, 30),
        (10, True, 0, 20),
        (600, False, 1300, 1300),
        (600, False, 1100, 1200),
        (5000, True, 7, 7),
    ],
)
def test_another_process_goes_on_where_the_last_one_stopped(
    schedule: Schedule, age: float, failed: bool, room_in: float, seconds: float
) -> None:
    schedule.resume(age, failed=failed, room_in=room_in)
    assert schedule.seconds_left() == seconds
    assert schedule.is_due() is (seconds == 0)


def test_it_goes_on_at_the_distance_that_the_quota_asks_for(schedule: Schedule) -> None:
    schedule.stretch(4000)
    schedule.resume(1000, failed=False)
    assert (schedule.interval, schedule.seconds_left()) == (4000, 3000)


def test_a_pause_holds_whatever_another_process_has_left(schedule: Schedule) -> None:
    schedule.pause(600)
    schedule.resume(5000, failed=False)
    assert schedule.seconds_left() == 600
    schedule.resume(0, failed=False)
    assert schedule.seconds_left() == 1800
