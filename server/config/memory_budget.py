"""Divides the memory of a process among the parts that store data for clients. Pure.

Every part that stores what clients request or send has a limit in bytes: docs/operating.md lists
them. Together with the program itself they stay within MEMORY_MB.
"""

from dataclasses import dataclass, fields

MB = 1_000_000  # bytes
DEFAULT_MB = 200
MOST_MB = 1_000_000
LEAST_MB = 150  # with less, the responses that a sync warms would not fit
PROGRAM_MB = 115  # Python, libraries, 1 000 releases, the API's description, a running sync
# Bytes of memory for each byte that a part counts, because allocators leave gaps.
GAPS = 1.1


@dataclass(frozen=True, slots=True)
class MemoryBudget:
    """The most bytes that each part may use."""

    responses: int
    head_cache: int
    hot_queries: int
    portions: int
    mine: int
    ring: int
    listeners: int
    waiting: int
    connections: int
    heads: int
    bodies: int
    unsent: int
    handoff_queue: int

    @property
    def total(self) -> int:
        """The bytes of all parts together."""
        return sum(getattr(self, each.name) for each in fields(self))


# Percent.
SHARES = MemoryBudget(
    responses=17,
    head_cache=5,
    hot_queries=3,
    portions=5,
    mine=4,
    ring=3,
    listeners=17,
    waiting=9,
    connections=10,
    heads=6,
    bodies=4,
    unsent=13,
    handoff_queue=4,
)


def divide(megabytes: int = DEFAULT_MB) -> MemoryBudget:
    """Return each part's share of MEMORY_MB, of which the program itself takes PROGRAM_MB."""
    percent = (megabytes - PROGRAM_MB) * MB / GAPS / 100
    return MemoryBudget(
        *(int(getattr(SHARES, each.name) * percent) for each in fields(MemoryBudget))
    )


DEFAULT = divide()
