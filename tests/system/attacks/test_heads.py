"""Heads that are long, slow, or odd."""

from tests.system.attacks.siege import SHORT, Siege


def test_long_values_of_negotiation_and_long_names_of_fields_are_not_kept(siege: Siege) -> None:
    most, seconds = (3000, 60) if siege.long else (300, SHORT)
    siege.withstand("heads:long_values", seconds, most=most)


def test_long_heads_that_trickle_in_hold_up_nobody(siege: Siege) -> None:
    count, seconds = (200, 15) if siege.long else (100, SHORT)
    siege.withstand("heads:trickles", seconds, count=count)


def test_many_cookies_and_long_chains_of_proxies_hold_up_nobody(siege: Siege) -> None:
    siege.withstand("heads:long_cookies", 10 if siege.long else SHORT)


def test_what_is_hardly_a_request_harms_nobody(siege: Siege) -> None:
    siege.withstand("heads:odd", 10 if siege.long else SHORT)


def test_giant_lists_of_tags_hold_up_nobody(siege: Siege) -> None:
    siege.withstand("heads:tags", 10 if siege.long else SHORT)
