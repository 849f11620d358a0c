"""A month of somebody's artists, by the rules alone: nothing missed, no ceiling hit twice.

FRESHET_SOAK=1 plays all combinations and not just a few; -s shows the figures.
"""

import os
import random
from datetime import UTC, datetime

import pytest

from server.spotify.limits.quota import ARTIST_ALBUMS, SEARCH
from server.standin import AppKind
from server.standin.faults.quotas import PAUSE_MODELS, PauseModel
from tests.system.faults.fans import planned
from tests.system.faults.policy import HIDDEN, LISTING, Month

START = datetime(2026, 11, 20, 5, 0, 12, tzinfo=UTC)
DAYS = 30
LOW = {ARTIST_ALBUMS: 60, SEARCH: 200, LISTING: 90}
Case = tuple[int, AppKind, PauseModel, bool, dict[str, int]]
ALL: list[Case] = [
    (artists, kind, pauses, works, HIDDEN)
    for artists in (50, 160, 500)
    for kind in AppKind
    for pauses in PAUSE_MODELS
    for works in (True, False)
]
FEW: list[Case] = [
    (50, AppKind.RESTRICTED, "fixed", False, HIDDEN),
    (160, AppKind.EXTENDED, "prolonging", False, HIDDEN),
    (250, AppKind.RESTRICTED, "fixed", False, LOW),
    (160, AppKind.RESTRICTED, "prolonging", True, LOW),
]


def title(case: Case) -> str:
    artists, kind, pauses, works, hidden = case
    low = ", low ceilings" if hidden is LOW else ""
    found = "searched" if works else "not searched"
    return f"{artists} artists, {kind.value}, {pauses}, {found}{low}"


@pytest.mark.parametrize(
    "case", [*ALL, FEW[-1]] if os.environ.get("FRESHET_SOAK") else FEW, ids=title
)
def test_a_month_of_somebodys_artists_misses_nothing_and_teaches_each_ceiling_once(
    case: Case,
) -> None:
    artists, kind, pauses, works, hidden = case
    ids = [f"{number:022d}" for number in range(artists)]
    releases = planned(ids, START, DAYS, random.Random(artists))
    month = Month(ids, releases, START, kind=kind, pauses=pauses, search_works=works, hidden=hidden)
    # Then nothing comes out any more, until each artist has been looked at once.
    days = DAYS + (8 if works else 8 + artists / 25)
    month.run(days)
    figures = month.figures(title(case), days)
    print(f"\n{figures}")  # for whoever wants to see them
    assert len(releases) > artists / 4
    assert figures.missed == []
    assert month.spotify.prolonged == 0, "nobody asks in a pause"
    assert all(number <= 1 for number in figures.lockouts.values())
    for bucket, most in figures.calls.items():
        assert most <= hidden[bucket] + 1
    a_round = 24 * artists * 2 / 48  # hours, with 80 % of 60 calls a day
    assert max(figures.hours(listed=False)) <= a_round + 8 * 24
    if hidden is HIDDEN:
        assert figures.hours(listed=True)[-1] <= 24
