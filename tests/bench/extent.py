"""How much the bench measures: all of it, or a short turn of everything to see that it works."""

from dataclasses import dataclass

CASES = ("plain", "large", "gzip")


@dataclass(frozen=True)
class Extent:
    """Rounds of each part; `cases` are those of `tests.bench.http.sample`.

    Seconds: `seconds` of a turn at full load (whole ones), `longer` of a turn of the latency, which
    has to hold whole syncs of `albums` albums, `stolen` of the search for stolen time.
    """

    rounds: int = 5
    seconds: int = 3
    longer: float = 12
    stolen: float = 2.0
    albums: int = 1000
    cases: tuple[str, ...] = CASES
    sync_rounds: int = 5
    sync_albums: int = 1000
    variant_rounds: int = 21
    variant_albums: int = 1000
    followed: int = 10_000


FULL = Extent()
SHORT = Extent(
    rounds=1,
    seconds=1,
    longer=1,
    stolen=0.1,
    albums=100,
    cases=("plain",),
    sync_rounds=1,
    sync_albums=50,
    variant_rounds=1,
    variant_albums=100,
    followed=200,
)
