"""The backlog: bytes that clients have not taken yet, their memory, and the rate of each client.

The fast lane and the connections handed off to Tornado share one `Backlog`, so that its bound is
that of the process.
"""

import fcntl
import struct
import termios
from collections.abc import Callable
from operator import itemgetter

from server.config.memory_budget import DEFAULT

GRACE_SECONDS = 10  # before the rate is measured
WINDOW_SECONDS = 30  # over which the rate is averaged
LEAST_BYTES = 1000  # a second
NEW_SECONDS = 2  # during which no client counts as slow
RELIEF = 8  # an eighth of the bound is freed at once, so that not every response has to free some
NEVER = -2
LANE_BYTES = 2600  # memory of an account in the fast lane, besides the unsent bytes

OnClose = Callable[[str], None]


def queued(descriptor: int) -> int:
    """Return how many bytes of a connection the kernel holds that the client has not acknowledged.

    Returns 0 where the system does not support it. Source: tcp(7), SIOCOUTQ.
    """
    try:
        answer = fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4))
    except (OSError, ValueError):
        return 0
    return int(struct.unpack("i", answer)[0])


class UnsentAccount:
    """The unsent bytes of one connection, which `close` closes.

    `began` is the second in which the account was opened, `since` the start of the current window,
    which ends at `due`. `sent` counts the bytes that the kernel has taken in this period; `bodies`
    are the objects held for the client, perhaps shared with others; `own` counts the bytes that are
    its alone, `least` of them for the connection itself.
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
        "least",
        "mark",
        "own",
        "sent",
        "since",
    )

    def __init__(self, descriptor: int, close: Callable[[], None], least: int = LANE_BYTES) -> None:
        self._descriptor = descriptor
        self.least = least
        self.close = close
        self.bodies: list[bytes] = []
        self.own = self.sent = 0
        self.ended = NEVER

    def begin(self, second: int) -> None:
        """Start measuring, or continue if the account was settled within the last second."""
        if self.ended < second - 1:
            self._before = self.mark = 0
            self.began = self.since = second
            self.due = second + GRACE_SECONDS + WINDOW_SECONDS
        self.sent = 0
        self._queued = queued(self._descriptor)

    def end(self, second: int) -> None:
        """Record how much the client has taken, and release what was held for it."""
        self._before = self.taken
        self.ended = second
        self.own = self.sent = self._queued = 0
        self.bodies.clear()

    @property
    def taken(self) -> int:
        """How many bytes the client has taken since `began`."""
        return self._before + self.sent + self._queued - queued(self._descriptor)

    def rate(self, second: int) -> float:
        """Return the client's rate in bytes per second since `since`."""
        return (self.taken - self.mark) / max(second - self.since, 1)


class Backlog:
    """All accounts of a process, at most `bound` bytes; above that, the slowest clients are closed.

    `bytes` counts each object once, however many clients are waiting for it, plus the bytes of each
    connection's own. `on_close(reason)` is called for each connection that is closed here: "slow"
    if it took less than LEAST_BYTES a second over WINDOW_SECONDS, "memory" if it was the slowest
    when the bound was reached, "descriptors" if others needed its place.
    """

    def __init__(
        self, bound: int = DEFAULT.unsent, on_close: OnClose = lambda _reason: None
    ) -> None:
        self.bound = bound
        self.bytes = 0
        self.second = 0
        self.on_close = on_close
        self._accounts: dict[UnsentAccount, None] = {}
        self._holders: dict[int, int] = {}  # by id of an object that they keep alive

    @property
    def clients(self) -> int:
        """How many clients have unsent bytes."""
        return len(self._accounts)

    def charge(self, account: UnsentAccount, own: int, *bodies: bytes) -> None:
        """Add `own` bytes and shared `bodies` to an account, opening it first if necessary.

        May close the connection before it returns.
        """
        if account not in self._accounts:
            account.begin(self.second)
            self._accounts[account] = None
            own += account.least
        account.own += own
        self.bytes += own
        for body in bodies:
            holders = self._holders.get(id(body), 0)
            self._holders[id(body)] = holders + 1
            account.bodies.append(body)
            if not holders:
                self.bytes += len(body)
        if self.bytes > self.bound:
            self._relieve()

    def settle(self, account: UnsentAccount) -> None:
        """Settle an account: everything is sent, or the connection is about to be closed."""
        if account not in self._accounts:
            return
        del self._accounts[account]
        self.bytes -= account.own
        for body in account.bodies:
            self._holders[id(body)] -= 1
            if not self._holders[id(body)]:
                del self._holders[id(body)]
                self.bytes -= len(body)
        account.end(self.second)

    def tick(self) -> None:
        """Advance the clock by one second, and close the clients that are too slow."""
        self.second += 1
        for account in tuple(self._accounts):
            if self.second >= account.due:
                self._review(account)

    def make_room(self, count: int) -> int:
        """Close up to `count` clients below LEAST_BYTES a second, slowest first.

        Returns how many were closed.
        """
        long_ago = self.second - NEW_SECONDS
        rates = [
            (each.rate(self.second), each) for each in self._accounts if each.began <= long_ago
        ]
        slow = sorted((each for each in rates if each[0] < LEAST_BYTES), key=itemgetter(0))[:count]
        for _, account in slow:
            self._close(account, "descriptors")
        return len(slow)

    def _review(self, account: UnsentAccount) -> None:
        taken = account.taken
        if taken - account.mark < LEAST_BYTES * WINDOW_SECONDS:
            self._close(account, "slow")
            return
        account.mark, account.since = taken, self.second
        account.due = self.second + WINDOW_SECONDS

    def _relieve(self) -> None:
        """Close clients below the least rate, then new ones, then the rest, slowest first.

        The rate of a new client is not known yet.
        """
        long_ago = self.second - NEW_SECONDS

        def order(account: UnsentAccount) -> tuple[bool, bool, float]:
            rate = account.rate(self.second)
            return rate >= LEAST_BYTES, account.began > long_ago, rate

        for account in sorted(self._accounts, key=order):
            if self.bytes <= self.bound - self.bound // RELIEF:
                return
            self._close(account, "memory")

    def _close(self, account: UnsentAccount, reason: str) -> None:
        self.settle(account)
        self.on_close(reason)
        account.close()
