"""A client that keeps a copy of all releases is right, whatever happens to it and the servers."""

from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from tests.support.databases import NewDatabase
from tests.system.faults.copied_world import CopiedWorld

pytestmark = pytest.mark.slow

RELEASES, ARTISTS = st.integers(0, 9), st.integers(0, 3)
FOUND = st.sets(RELEASES, max_size=8)
DEAF = st.sampled_from([None, 0, 1])
DATES = ["2026-11-20", "2026-11-01", "2019-03-02", "2019", "2027-04-01"]
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["Tides", "Tides EP", "Ebbe & Flut 🌊"]),
        "release_date": st.sampled_from(DATES),
        "artists": st.lists(ARTISTS, min_size=1, max_size=3, unique=True),
        "album_type": st.sampled_from(["album", "single"]),
        "total_tracks": st.integers(1, 8),
        "images": st.just([]),
    },
)
STEPS = st.one_of(
    st.tuples(st.just("sync"), FOUND, DEAF, st.booleans()),
    st.tuples(st.just("sync"), FOUND, DEAF, st.just(True)),
    st.tuples(st.just("change"), RELEASES, FIELDS),
    st.tuples(st.just("rename_artist"), ARTISTS, st.sampled_from(["Mara", "Ünder"])),
    st.tuples(st.just("check"), ARTISTS, DEAF),
    st.tuples(st.just("unwant"), DEAF),
    st.tuples(st.just("age"), FOUND, DEAF),
    st.tuples(
        st.just("meanwhile"), st.lists(FOUND, max_size=3), st.lists(ARTISTS, max_size=3), DEAF
    ),
    st.tuples(st.just("back_up")),
    st.tuples(st.just("restore"), st.booleans()),
    st.tuples(st.just("restart"), st.integers(0, 1)),
    st.tuples(st.just("cut"), st.lists(st.integers(0, 3000), max_size=5)),
    st.tuples(st.just("forget")),
    st.tuples(st.just("ask_for"), st.integers(1, 5)),
)


def test_a_copy_equals_the_list_whatever_happens(new_database: NewDatabase, long: bool) -> None:
    """The copy of the guide, after any batch of syncs and accidents."""

    class Copies(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.ends = ExitStack()
            self.world = CopiedWorld(self.ends.enter_context(new_database("freshet")))
            self.ends.callback(self.world.close)

        @rule(steps=st.lists(STEPS, min_size=1, max_size=10))
        def batch(self, steps: list[tuple[Any, ...]]) -> None:
            for name, *arguments in steps:
                getattr(self.world, name)(*arguments)
            self.world.compare()

        def teardown(self) -> None:
            self.ends.close()

    run_state_machine_as_test(
        Copies,
        settings=settings(
            max_examples=100 if long else 2,
            stateful_step_count=20 if long else 5,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[*Phase] if long else [Phase.generate],
            print_blob=True,
            report_multiple_bugs=False,
        ),
    )
