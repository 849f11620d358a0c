"""What clients have yet to take of their answers: how much memory it holds, and how fast it goes.

The lane and the connections that it lends share one `Backlog`, so that its bound is that of the
process.
"""

import fcntl
import struct
import termios
from collections.abc import Callable
from operator import itemgetter

from server.config.memory_budget import DEFAULT

GRACE_SECONDS = 10  # before the rate counts
WINDOW_SECONDS = 30  # over which it is an average
LEAST_BYTES = 1000  # a second
NEW_SECONDS = 2  # in which no client is taken for slow
RELIEF = 8  # of the bound, one part is freed at once, so that not every new answer looks for room
NEVER = -2
LANE_BYTES = 2600  # of a debt in the lane beside what is to be sent

Tell = Callable[[str], None]


def queued(descriptor: int) -> int:
    """Return how many bytes of a connection the kernel holds that the client has not acknowledged.

    It is 0 where the system does not tell. Source: tcp(7), SIOCOUTQ.
    """
    try:
        told = fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4))
    except (OSError, ValueError):
        return 0
    return int(struct.unpack("i", told)[0])


class Debt:
    """What one connection has yet to send. `close` closes it.

    `began` is the second in which that began, `since` the one from which on its rate is reckoned,
    until it is `due`. `given` counts the bytes that the kernel has taken; `bodies` are the objects
    that are kept for it and may be shared with others; `own` counts the bytes that are its own, at
    `least` so many.
    """

    __slots__ = (
        "_before",
        "_descriptor",
        "_queued",
        "began",
        "bodies",
        "close",
        "due",
        "ended",
        "given",
        "least",
        "mark",
        "own",
        "since",
    )

    def __init__(self, descriptor: int, close: Callable[[], None], least: int = LANE_BYTES) -> None:
        self._descriptor = descriptor
        self.least = least
        self.close = close
        self.bodies: list[bytes] = []
        self.own = self.given = 0
        self.ended = NEVER

    def begin(self, second: int) -> None:
        """Reckon from now on, or go on where it ended if that was just now."""
        if self.ended < second - 1:
            self._before = self.mark = 0
            self.began = self.since = second
            self.due = second + GRACE_SECONDS + WINDOW_SECONDS
        self.given = 0
        self._queued = queued(self._descriptor)

    def end(self, second: int) -> None:
        """Remember what the client has taken; nothing is kept for it now."""
        self._before = self.taken
        self.ended = second
        self.own = self.given = self._queued = 0
        self.bodies.clear()

    @property
    def taken(self) -> int:
        """How many bytes the client has taken since the debt began."""
        return self._before + self.given + self._queued - queued(self._descriptor)

    def rate(self, second: int) -> float:
        """Return how many bytes a second it has taken since `since`."""
        return (self.taken - self.mark) / max(second - self.since, 1)


class Backlog:
    """All debts of a process, at most `bound` bytes; over it, the slowest clients are closed.

    `bytes` counts each object that is kept for clients once, however many of them have yet to take
    it, and what each connection has of its own beside. `tell(reason)` hears of each connection that
    is closed here: "slow" if it took less than LEAST_BYTES a second over WINDOW_SECONDS, "memory"
    if it was the slowest over the bound, "descriptors" if others needed its place.
    """

    def __init__(self, bound: int = DEFAULT.unsent, tell: Tell = lambda _reason: None) -> None:
        self.bound = bound
        self.bytes = 0
        self.second = 0
        self.tell = tell
        self._debts: dict[Debt, None] = {}
        self._holders: dict[int, int] = {}  # by id of an object that they keep alive

    @property
    def clients(self) -> int:
        """How many have something to take."""
        return len(self._debts)

    def owe(self, debt: Debt, own: int, *bodies: bytes) -> None:
        """Begin a debt, or add to it. The connection may be closed before this returns."""
        if debt not in self._debts:
            debt.begin(self.second)
            self._debts[debt] = None
            own += debt.least
        debt.own += own
        self.bytes += own
        for body in bodies:
            holders = self._holders.get(id(body), 0)
            self._holders[id(body)] = holders + 1
            debt.bodies.append(body)
            if not holders:
                self.bytes += len(body)
        if self.bytes > self.bound:
            self._relieve()

    def settle(self, debt: Debt) -> None:
        """End a debt: all is sent, or the connection is about to be closed."""
        if debt not in self._debts:
            return
        del self._debts[debt]
        self.bytes -= debt.own
        for body in debt.bodies:
            self._holders[id(body)] -= 1
            if not self._holders[id(body)]:
                del self._holders[id(body)]
                self.bytes -= len(body)
        debt.end(self.second)

    def tick(self) -> None:
        """Count a second, and close the clients that are too slow."""
        self.second += 1
        for debt in tuple(self._debts):
            if self.second >= debt.due:
                self._review(debt)

    def make_room(self, count: int) -> int:
        """Close up to `count` clients that take nothing, the slowest first; how many."""
        long_ago = self.second - NEW_SECONDS
        rates = [(each.rate(self.second), each) for each in self._debts if each.began <= long_ago]
        slow = sorted((each for each in rates if each[0] < LEAST_BYTES), key=itemgetter(0))[:count]
        for _, debt in slow:
            self._close(debt, "descriptors")
        return len(slow)

    def _review(self, debt: Debt) -> None:
        taken = debt.taken
        if taken - debt.mark < LEAST_BYTES * WINDOW_SECONDS:
            self._close(debt, "slow")
            return
        debt.mark, debt.since = taken, self.second
        debt.due = self.second + WINDOW_SECONDS

    def _relieve(self) -> None:
        """Close the slowest: those below the least rate, new ones after the others, then the rest.

        A new one has not shown yet how fast it is.
        """
        long_ago = self.second - NEW_SECONDS

        def order(debt: Debt) -> tuple[bool, bool, float]:
            rate = debt.rate(self.second)
            return rate >= LEAST_BYTES, debt.began > long_ago, rate

        for debt in sorted(self._debts, key=order):
            if self.bytes <= self.bound - self.bound // RELIEF:
                return
            self._close(debt, "memory")

    def _close(self, debt: Debt, reason: str) -> None:
        self.settle(debt)
        self.tell(reason)
        debt.close()
