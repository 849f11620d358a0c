"""Crowds of connections, also more than there are descriptors for."""

from tests.support.newcomers import Newcomers, few_descriptors
from tests.system.attacks.siege import SHORT, Siege


def test_half_sent_heads_make_room_when_descriptors_run_out(siege: Siege) -> None:
    count, seconds = (1150, 30) if siege.long else (400, 0.8)
    with few_descriptors(siege, count - 50), Newcomers(siege.server.port) as newcomers:
        siege.withstand("crowds:half_heads", seconds, count=count)
    assert newcomers.answered
    assert newcomers.failed == []


def test_bodies_that_trickle_in_hold_up_nobody(siege: Siege) -> None:
    count, seconds = (1000, 30) if siege.long else (200, SHORT)
    siege.withstand("crowds:slow_bodies", seconds, count=count)


def test_clients_that_connect_and_reset_hold_up_nobody(siege: Siege) -> None:
    siege.withstand("crowds:resets", 15 if siege.long else SHORT)
