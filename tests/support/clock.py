"""A wall clock that a test moves."""

from datetime import UTC, datetime, timedelta

import pytest


class Clock:
    """A wall clock that only `forward` moves."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def __call__(self) -> datetime:
        return self.moment

    def forward(self, **time: float) -> None:
        self.moment += timedelta(**time)


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 11, 20, 5, 0, 12, tzinfo=UTC))
