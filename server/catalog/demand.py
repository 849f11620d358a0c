"""What is asked for: in which spellings, and how often. Bounded, whatever anybody asks."""

from collections import Counter

from cachetools import LRUCache

MAX_SPELLINGS = 4096


class Demand:
    """Remembers what raw query strings mean, and counts since `begin_anew`.

    `href` is the normal form of a query.
    """

    def __init__(self) -> None:
        self._spellings: LRUCache[tuple[str, str], str] = LRUCache(MAX_SPELLINGS)
        self._asked: Counter[str] = Counter()

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
        self._spellings[path, query_string] = href

    def met(self, path: str, query_string: str, href: str) -> None:
        """Remember what a spelling means, and count it."""
        self.learn(path, query_string, href)
        self.count(href)

    def most(self, count: int) -> list[str]:
        """What is asked for most, by its normal form."""
        return [href for href, _ in self._asked.most_common(count)]

    def begin_anew(self) -> None:
        """Count from zero."""
        self._asked.clear()

    def count(self, href: str, times: int = 1) -> None:
        """It was asked for."""
        if href in self._asked or len(self._asked) < MAX_SPELLINGS:
            self._asked[href] += times
