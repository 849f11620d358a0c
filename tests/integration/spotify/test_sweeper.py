"""What a pass makes of a list: its releases, and what an album's absence from it proves."""

from collections.abc import Callable
from typing import Any

import pytest

from server.spotify.api.sweeper import Sweeper
from server.spotify.sweep import MarketList
from server.standin import Answer
from tests.support.examples import album, albums, spotify_id
from tests.support.spotify_client import ClientOf
from tests.support.spotify_scripts import NOW, answer, next_to, script
from tests.support.standins import StartStandIn

NAMELESS: dict[str, Any] = {"name": "An album without an id"}
UNUSABLE = album(50, name=None)

Pass = Callable[..., Any]


@pytest.fixture
def sweep_through(start_standin: StartStandIn, client_of: ClientOf) -> Pass:
    """Sweep search, which has these pages and tells their true total."""

    async def go(*pages: list[Any], most: int = 100) -> MarketList:
        standin, total = start_standin([]), sum(map(len, pages))
        for number, items in enumerate(pages, 1):
            following = next_to(10 * number) if number < len(pages) else None
            script(standin, answer(items, following, total))
        client = client_of(standin)
        sweeper = Sweeper(client, setting="search", max_releases=most)
        sweep = await sweeper.start(NOW).sweep({}, {})
        assert sweep.complete
        (met,) = sweep.lists
        return met

    return go


@pytest.mark.parametrize(
    ("pages", "proof"),
    [
        ([albums(7)], "sure"),
        ([albums(10), albums(2, 10)], "good"),
        ([albums(10), albums(2, 9)], "weak"),
        ([[*albums(7), NAMELESS]], "weak"),
        ([[*albums(7), None]], "weak"),
        ([[*albums(7), UNUSABLE]], "sure"),
        ([albums(10), [album(10), UNUSABLE]], "good"),
        ([albums(9), albums(3, 9)], "weak"),
    ],
    ids=[
        "one page",
        "two pages",
        "one album on both of them",
        "an item without an id",
        "null",
        "an unusable item",
        "an unusable item on the second of two",
        "a short page in the middle",
    ],
)
@pytest.mark.gen_test
async def test_an_absence_proves_as_much_as_the_list_is_sound(
    sweep_through: Pass, pages: list[list[Any]], proof: str
) -> None:
    assert (await sweep_through(*pages)).proof == proof


@pytest.mark.parametrize(
    ("most", "proof"), [(10, "none"), (11, "none"), (12, "good"), (13, "good")]
)
@pytest.mark.gen_test
async def test_a_list_that_is_longer_than_what_is_kept_of_it_proves_nothing(
    sweep_through: Pass, most: int, proof: str
) -> None:
    met = await sweep_through(albums(10), albums(2, 10), most=most)
    assert met.proof == proof
    assert met.ids == tuple(spotify_id("album", number) for number in range(min(most, 12)))


@pytest.mark.gen_test
async def test_an_unusable_item_with_an_id_is_present(sweep_through: Pass) -> None:
    met = await sweep_through([*albums(2), UNUSABLE, NAMELESS])
    assert met.present == {spotify_id("album", 50)}
    assert len(met.ids) == 2


@pytest.mark.gen_test
async def test_a_list_with_a_page_that_was_skipped_proves_nothing(
    start_standin: StartStandIn, client_of: ClientOf
) -> None:
    standin = start_standin(albums(30))
    script(standin, answer(albums(10), next_to(10), 30), Answer(502), Answer(502))
    client = client_of(standin)
    sweeper = Sweeper(client, setting="search", max_releases=100)
    sweep = await sweeper.start(NOW).sweep({}, {})
    (met,) = sweep.lists
    assert (met.proof, len(met.ids), sweep.pages_skipped) == ("none", 20, 1)
    assert not sweep.complete


@pytest.mark.gen_test
async def test_of_several_skipped_pages_the_first_is_named_and_all_are_counted(
    start_standin: StartStandIn, client_of: ClientOf
) -> None:
    standin = start_standin(albums(100))
    script(standin, answer(albums(10), next_to(10)), *[Answer(502)] * 3)
    client = client_of(standin)
    sweeper = Sweeper(client, setting="search", max_releases=100)
    sweep = await sweeper.start(NOW).sweep({}, {})
    assert (sweep.pages_skipped, len(sweep.releases)) == (2, 80)
    reason = "SpotifyUnavailable: the page at offset 10 was skipped: 502 (one of 2 pages)"
    assert sweep.error == reason
