"""How many logins may be finished in a minute: strangers share one budget, accounts have their own.

Counts only what it lets through, so its memory is bounded by the budgets, however many clients try.
"""

from collections import deque
from collections.abc import Callable

SECONDS = 60.0
STRANGERS = 30  # logins of browsers that are not known, in all
PER_NETWORK = 10  # of those, from one IPv4 address or IPv6 /64
KNOWN = 300  # logins of browsers that are known, in all
PER_ACCOUNT = 30  # of those, for one account
LOGIN_BYTES = 700  # memory of a login that was let through, with its state
MOST_BYTES = (2 * STRANGERS + KNOWN) * LOGIN_BYTES  # with those whose failure was logged


class Share:
    """At most `most` in SECONDS, and `each` of them for one key; `timer` counts seconds."""

    def __init__(self, most: int, each: int, timer: Callable[[], float]) -> None:
        self._most = most
        self._each = each
        self._timer = timer
        self._taken: deque[tuple[float, str]] = deque()

    def __len__(self) -> int:
        """Count what was taken in the last SECONDS."""
        while self._taken and self._timer() - self._taken[0][0] >= SECONDS:
            self._taken.popleft()
        return len(self._taken)

    def take(self, key: str) -> bool:
        """Take one for a key, if there is room."""
        if len(self) >= self._most or sum(each == key for _, each in self._taken) >= self._each:
            return False
        self._taken.append((self._timer(), key))
        return True

    def give_back(self, key: str) -> None:
        """Let one that was taken for a key count no longer."""
        for entry in reversed(self._taken):
            if entry[1] == key:
                self._taken.remove(entry)
                return


class Budget:
    """Room for logins: what strangers use up is never missing for a browser that is known."""

    def __init__(self, timer: Callable[[], float]) -> None:
        self.strangers = Share(STRANGERS, PER_NETWORK, timer)
        self.known = Share(KNOWN, PER_ACCOUNT, timer)

    def take(self, network: str, account: str | None) -> bool:
        """Take room for one login: that of the account that a browser is known by, or a stranger's.

        A browser with a cookie that someone else planted in it is no worse off than a stranger.
        """
        if account is not None and self.known.take(account):
            return True
        return self.strangers.take(network)

    def admitted(self, network: str, account: str | None) -> None:
        """Give back the room of a login that has succeeded: it was no stranger's after all."""
        if account is None:
            self.strangers.give_back(network)
