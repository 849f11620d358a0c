"""The newest entries of the journal, in memory. Pure."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from operator import attrgetter

from server.catalog.journal import JournalEntry, JournalPage, Place
from server.config.memory_budget import DEFAULT

SEQ = attrgetter("seq")


class Ring:
    """Buffer of up to `held` entries in up to `max_bytes`: all after its floor, up to `newest`.

    The newest entry is held whatever its size. The buffer starts with the `latest` entries; `reach`
    is how far the journal reached when the last page was read.
    """

    def __init__(self, latest: JournalPage, held: int, max_bytes: int = DEFAULT.ring) -> None:
        self._held = held
        self._max_bytes = max_bytes
        self._entries = latest.entries[self._start(latest.entries) :]
        self.reach = latest.reach
        self.place = latest.entries[-1].place if latest.entries else latest.reach.beginning
        self._floor = latest.reach.floor
        if len(latest.entries) >= held or len(self._entries) < len(latest.entries):
            self._floor = self._entries[0].seq - 1

    @property
    def size(self) -> int:
        """Estimated bytes in memory."""
        return sum(each.size for each in self._entries)

    @property
    def newest(self) -> int:
        """The number of the newest entry."""
        return self.place.seq

    def continues(self, page: JournalPage) -> bool:
        """Return whether a page, read from the newest entry on, is from the same journal.

        It is not if the database was restored or created again.
        """
        if self.newest < page.reach.floor:
            return True  # followers that are as far behind are reset
        marks = [each.place.mark for each in page.entries[:1] if each.seq == self.newest]
        return page.reach.holds(self.place, marks[0] if marks else None)

    def add(self, page: JournalPage) -> int:
        """Add the new entries of a page; return how many they are.

        Entries that exceed the bounds, or have been deleted from the journal, are dropped.
        """
        new = [each for each in page.entries if each.seq > self.newest]
        together = self._entries + new
        start = self._start(together)
        self._entries, dropped = together[start:], together[:start]
        if new:
            self.place = new[-1].place
        if dropped:
            self._floor = dropped[-1].seq
        self.reach = page.reach
        if self._floor < self.reach.floor:
            self._floor = self.reach.floor
            self._entries = list(self.after(self._floor))
        return len(new)

    def _start(self, entries: list[JournalEntry]) -> int:
        """Return the index of the first entry that is held."""
        first = max(len(entries) - self._held, 0)
        size, start = 0, len(entries)
        while start > first:
            size += entries[start - 1].size
            if size > self._max_bytes and start < len(entries):
                break
            start -= 1
        return start

    def covers(self, seq: int) -> bool:
        """Return whether all known entries after a seq are in memory."""
        return self._floor <= seq <= self.newest

    def knows(self, place: Place) -> bool:
        """Return whether a place is known to be in this journal, with all entries after it held."""
        if not self.covers(place.seq):
            return False
        if place.mark == "" or place == self.place:
            return True
        index = bisect_left(self._entries, place.seq, key=SEQ)
        return index < len(self._entries) and self._entries[index].place == place

    def is_ahead_of(self, seq: int) -> bool:
        """Return whether it has entries for a follower that is at a seq."""
        return self.covers(seq) and seq < self.newest

    def after(self, seq: int, limit: int | None = None) -> Sequence[JournalEntry]:
        """Return the entries after a seq, at most `limit` if given."""
        start = bisect_right(self._entries, seq, key=SEQ)
        return self._entries[start : None if limit is None else start + limit]
