"""What is asked for is known by its spelling, counted, and bounded."""

from server.serving.hot_queries import COUNT_BYTES, Demand

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
    most = 200_000
    demand = Demand(most)
    demand.met(PATH, "often", "often")
    for number in range(2000):
        demand.met(PATH, f"{number}", f"{number}" * (number % 200))
        demand.find(PATH, "often")
        assert demand.size <= most
    assert demand.size > most * 9 // 10
    assert len(demand.most(2000)) <= most // 2 // COUNT_BYTES
    assert demand.most(1) == ["often"]
    assert demand.find(PATH, "0") is None, "the oldest is forgotten"
