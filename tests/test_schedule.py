"""Syncs come at their interval, sooner after a failure, and never within a pause."""

import pytest

from server.catalog.schedule import Schedule


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
