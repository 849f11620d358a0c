"""What is asked for is known by its spelling, counted, and bounded."""

from server.catalog.demand import MAX_SPELLINGS, Demand

PATH = "/api/artists/"


def test_a_spelling_is_known_once_it_was_met() -> None:
    demand = Demand()
    assert demand.find(PATH, "limit=01") is None
    demand.met(PATH, "limit=01", "/api/artists/?limit=1")
    assert demand.find(PATH, "limit=01") == "/api/artists/?limit=1"
    assert demand.find("/api/albums/", "limit=01") is None


def test_what_is_found_counts_and_what_is_only_learnt_does_not() -> None:
    demand = Demand()
    demand.learn(PATH, "", "quiet")
    for times, href in enumerate("abc", start=1):
        demand.met(PATH, href, href)
        for _ in range(times):
            demand.find(PATH, href)
    assert demand.most(2) == ["c", "b"]
    assert "quiet" not in demand.most(9)


def test_counting_begins_anew_and_spellings_stay() -> None:
    demand = Demand()
    demand.met(PATH, "x", "x")
    demand.begin_anew()
    assert demand.most(9) == []
    assert demand.find(PATH, "x") == "x"
    assert demand.most(9) == ["x"]


def test_no_number_of_spellings_makes_it_grow_without_bound() -> None:
    demand = Demand()
    demand.met(PATH, "often", "often")
    for number in range(2 * MAX_SPELLINGS):
        demand.met(PATH, f"{number}", f"{number}")
        demand.find(PATH, "often")
    assert len(demand.most(10 * MAX_SPELLINGS)) == MAX_SPELLINGS
    assert demand.most(1) == ["often"]
    assert demand.find(PATH, "0") is None, "the oldest is forgotten"
