"""What is asked for: in which spellings, and how often. Bounded in bytes. Pure."""

from collections import Counter

from server.config.memory_budget import DEFAULT
from server.serving.lru import ByteLRU

SPELLING_BYTES = 250  # of a spelling in memory beside its characters
COUNT_BYTES = 200  # of a count beside the characters of its query


class HotQueries:
    """Remembers what raw query strings mean, and counts since `clear`, in up to `most` bytes.

    `href` is the normal form of a query.
    """

    def __init__(self, most: int = DEFAULT.hot_queries) -> None:
        self._spellings: ByteLRU[tuple[str, str], str] = ByteLRU(most // 2, _bytes_of_spelling)
        self._asked: Counter[str] = Counter()
        self._most_asked = most // 2
        self._bytes_asked = 0

    @property
    def size(self) -> int:
        """Bytes in memory, near enough."""
        return self._spellings.size + self._bytes_asked

    def known(self, path: str, query_string: str) -> str | None:
        """What a spelling means, if that is known."""
        return self._spellings.get((path, query_string))

    def find(self, path: str, query_string: str) -> str | None:
        """The same, but it counts as asked for."""
        href = self.known(path, query_string)
        if href is not None:
            self.count(href)
        return href

    def learn(self, path: str, query_string: str, href: str) -> None:
        """Remember what a spelling means."""
        self._spellings.put((path, query_string), href)

    def record_hit(self, path: str, query_string: str, href: str) -> None:
        """Remember what a spelling means, and count it."""
        self.learn(path, query_string, href)
        self.count(href)

    def most(self, count: int) -> list[str]:
        """What is asked for most, by its normal form."""
        return [href for href, _ in self._asked.most_common(count)]

    def clear(self) -> None:
        """Count from zero."""
        self._asked.clear()
        self._bytes_asked = 0

    def count(self, href: str, times: int = 1) -> None:
        """It was asked for."""
        if href not in self._asked:
            size = len(href) + COUNT_BYTES
            if self._bytes_asked + size > self._most_asked:
                return
            self._bytes_asked += size
        self._asked[href] += times


def _bytes_of_spelling(key: tuple[str, str], href: str) -> int:
    path, query_string = key
    return len(path) + len(query_string) + len(href) + SPELLING_BYTES
