"""Which queries are requested, how they are spelled, and how often. Bounded in bytes. Pure."""

from collections import Counter

from server.config.memory_budget import DEFAULT
from server.serving.lru import ByteLRU

SPELLING_BYTES = 250  # of a spelling in memory beside its characters
COUNT_BYTES = 200  # of a count beside the characters of its query


class HotQueries:
    """Map of raw query strings to normal forms, with counts of requests since `clear`.

    Both together take up to `max_bytes`. `href` is the normal form of a query.
    """

    def __init__(self, max_bytes: int = DEFAULT.hot_queries) -> None:
        self._spellings: ByteLRU[tuple[str, str], str] = ByteLRU(max_bytes // 2, _bytes_of_spelling)
        self._counts: Counter[str] = Counter()
        self._max_count_bytes = max_bytes // 2
        self._count_bytes = 0

    @property
    def size(self) -> int:
        """Estimated bytes in memory."""
        return self._spellings.size + self._count_bytes

    def lookup(self, path: str, query_string: str) -> str | None:
        """Return the normal form of a raw query string; None if it has not been learnt."""
        return self._spellings.get((path, query_string))

    def find(self, path: str, query_string: str) -> str | None:
        """Return the normal form of a raw query string, and count the request; None if unknown."""
        href = self.lookup(path, query_string)
        if href is not None:
            self.count(href)
        return href

    def learn(self, path: str, query_string: str, href: str) -> None:
        """Store the normal form of a raw query string."""
        self._spellings.put((path, query_string), href)

    def record_hit(self, path: str, query_string: str, href: str) -> None:
        """Store the normal form of a raw query string, and count the request."""
        self.learn(path, query_string, href)
        self.count(href)

    def most_common(self, count: int) -> list[str]:
        """Return the normal forms of the most requested queries, most requested first."""
        return [href for href, _ in self._counts.most_common(count)]

    def clear(self) -> None:
        """Reset the counts; the normal forms stay."""
        self._counts.clear()
        self._count_bytes = 0

    def count(self, href: str, times: int = 1) -> None:
        """Count requests for a query, unless a new count would exceed the memory."""
        if href not in self._counts:
            size = len(href) + COUNT_BYTES
            if self._count_bytes + size > self._max_count_bytes:
                return
            self._count_bytes += size
        self._counts[href] += times


def _bytes_of_spelling(key: tuple[str, str], href: str) -> int:
    path, query_string = key
    return len(path) + len(query_string) + len(href) + SPELLING_BYTES
