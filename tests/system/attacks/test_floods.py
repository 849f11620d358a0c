"""Requests without end, each of them another one."""

import pytest

from tests.system.attacks.siege import SHORT, Siege


@pytest.mark.parametrize("name", ["junk", "queries", "feeds", "days", "paths", "metrics"])
def test_what_was_never_asked_before_holds_up_nobody(siege: Siege, name: str) -> None:
    siege.withstand(
        f"floods:{name}", 30 if siege.long else 1.0 if name == "metrics" else SHORT, keeps=True
    )


@pytest.mark.parametrize("name", ["dialects", "ranges", "posts"])
def test_requests_of_other_kinds_hold_up_nobody(siege: Siege, name: str) -> None:
    siege.withstand(f"floods:{name}", 15 if siege.long else SHORT)
