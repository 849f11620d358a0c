"""What is asked for is known by its spelling, counted, and bounded."""

from server.serving.hot_queries import COUNT_BYTES, HotQueries

PATH = "/api/artists/"


def test_a_spelling_is_known_once_it_was_met() -> None:
    hot_queries = HotQueries()
    assert hot_queries.find(PATH, "limit=01") is None
    hot_queries.record_hit(PATH, "limit=01", "/api/artists/?limit=1")
    assert hot_queries.find(PATH, "limit=01") == "/api/artists/?limit=1"
    assert hot_queries.find("/api/albums/", "limit=01") is None


def test_what_is_found_counts_and_what_is_only_learnt_does_not() -> None:
    hot_queries = HotQueries()
    hot_queries.learn(PATH, "", "quiet")
    for times, href in enumerate("abc", start=1):
        hot_queries.record_hit(PATH, href, href)
        for _ in range(times):
            hot_queries.find(PATH, href)
    assert hot_queries.most_common(2) == ["c", "b"]
    assert "quiet" not in hot_queries.most_common(9)


def test_counting_begins_anew_and_spellings_stay() -> None:
    hot_queries = HotQueries()
    hot_queries.record_hit(PATH, "x", "x")
    hot_queries.clear()
    assert hot_queries.most_common(9) == []
    assert hot_queries.find(PATH, "x") == "x"
    assert hot_queries.most_common(9) == ["x"]


def test_no_number_of_spellings_makes_it_grow_without_bound() -> None:
    most = 200_000
    hot_queries = HotQueries(most)
    hot_queries.record_hit(PATH, "often", "often")
    for number in range(2000):
        hot_queries.record_hit(PATH, f"{number}", f"{number}" * (number % 200))
        hot_queries.find(PATH, "often")
        assert hot_queries.size <= most
    assert hot_queries.size > most * 9 // 10
    assert len(hot_queries.most_common(2000)) <= most // 2 // COUNT_BYTES
    assert hot_queries.most_common(1) == ["often"]
    assert hot_queries.find(PATH, "0") is None, "the oldest is forgotten"
