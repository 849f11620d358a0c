"""The memory of a process, divided among the parts that keep what clients ask for or send. Pure.

Everything that a client can make a process keep has an owner, and each owner a bound in bytes:
docs/operating.md lists them. Together with the program itself they stay within MEMORY_MB.
"""

from dataclasses import dataclass, fields

MB = 1_000_000  # bytes
DEFAULT_MB = 200
MOST_MB = 1_000_000
LEAST_MB = 150  # below it the shelf would not hold what is made after a sync
PROGRAM_MB = 115  # Python, libraries, 1 000 releases, the API's description, a sync under way
# Bytes of memory for a byte that an owner counts: allocators leave gaps between what is kept.
GAPS = 1.1


@dataclass(frozen=True, slots=True)
class Budget:
    """The bytes that each owner may keep."""

    responses: int
    head_cache: int
    hot_queries: int
    days: int
    ring: int
    listeners: int
    waiting: int
    connections: int
    heads: int
    bodies: int
    unsent: int
    turns: int

    @property
    def total(self) -> int:
        """The bytes of all owners together."""
        return sum(getattr(self, each.name) for each in fields(self))


# Parts of a hundred.
SHARES = Budget(
    responses=21,
    head_cache=5,
    hot_queries=3,
    days=5,
    ring=3,
    listeners=17,
    waiting=9,
    connections=10,
    heads=6,
    bodies=4,
    unsent=13,
    turns=4,
)


def divide(megabytes: int = DEFAULT_MB) -> Budget:
    """Return each owner's share of MEMORY_MB, of which the program itself takes PROGRAM_MB."""
    percent = (megabytes - PROGRAM_MB) * MB / GAPS / 100
    return Budget(*(int(getattr(SHARES, each.name) * percent) for each in fields(Budget)))


DEFAULT = divide()
