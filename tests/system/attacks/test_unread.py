"""Clients that do not read what they ask for."""

from tests.system.attacks.siege import Siege


def test_small_and_large_answers_that_nobody_reads_stay_bounded(siege: Siege) -> None:
    count, seconds = (1000, 12) if siege.long else (300, 0.5)
    siege.withstand("unread:pipelines", seconds, count=count, tornado=False)


def test_answers_by_way_of_tornado_that_nobody_reads_stay_bounded(siege: Siege) -> None:
    count, seconds = (1000, 12) if siege.long else (300, 0.5)
    siege.withstand("unread:pipelines", seconds, count=count, tornado=True)


def test_readers_of_a_kilobyte_now_and_then_hold_up_nobody(siege: Siege) -> None:
    count, seconds, pause = (1000, 110, 50.0) if siege.long else (300, 0.5, 0.1)
    siege.withstand("unread:sips", seconds, count=count, pause=pause)
