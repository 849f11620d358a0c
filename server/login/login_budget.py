"""Limits on logins per minute: one for unknown browsers, one for browsers that logged in before.

A browser is known by an encrypted cookie, which grants nothing else: it only says that an admitted
account has logged in there, so that the logins of strangers cannot keep that account out. Logins
beyond a limit are not stored, so memory is bounded by the limits, however many clients try.
"""

from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta

import orjson

from server.encryption import Encryption
from server.errors import DecryptionFailed, QuotaPolicy
from server.login.attempt import SKEW, fingerprint

SECONDS = 60.0
STRANGERS = 30  # logins in SECONDS of all unknown browsers together
PER_NETWORK = 10  # of those, from one IPv4 address or IPv6 /64
KNOWN = 300  # logins in SECONDS of all known browsers together
PER_ACCOUNT = 30  # of those, for one account
LOGIN_BYTES = 700  # memory of a login within the limits, with its state
MOST_BYTES = (2 * STRANGERS + KNOWN) * LOGIN_BYTES  # including logins whose failure was logged
KNOWN_COOKIE = "known"
KNOWN_LIFE = timedelta(days=365)


class LoginLimit:
    """At most `most` entries in SECONDS, and `each` of them per key; `timer` is in seconds."""

    def __init__(self, most: int, each: int, timer: Callable[[], float]) -> None:
        self._most = most
        self._each = each
        self._timer = timer
        self._taken: deque[tuple[float, str]] = deque()

    def __len__(self) -> int:
        """Return the number of entries of the last SECONDS."""
        while self._taken and self._timer() - self._taken[0][0] >= SECONDS:
            self._taken.popleft()
        return len(self._taken)

    def take(self, key: str) -> bool:
        """Add an entry for a key and return True, or return False if a limit is reached."""
        if len(self) >= self._most or sum(each == key for _, each in self._taken) >= self._each:
            return False
        self._taken.append((self._timer(), key))
        return True

    def reached(self, key: str, name: str) -> QuotaPolicy:
        """Return the limit that keeps a further entry out: of this key, or of all (`all-`)."""
        if sum(each == key for _, each in self._taken) >= self._each:
            return QuotaPolicy(name, self._each, int(SECONDS))
        return QuotaPolicy(f"all-{name}", self._most, int(SECONDS))

    def give_back(self, key: str) -> None:
        """Remove the latest entry of a key."""
        for entry in reversed(self._taken):
            if entry[1] == key:
                self._taken.remove(entry)
                return


class LoginBudget:
    """The limits of unknown and of known browsers, which are independent of each other."""

    def __init__(self, timer: Callable[[], float]) -> None:
        self.strangers = LoginLimit(STRANGERS, PER_NETWORK, timer)
        self.known = LoginLimit(KNOWN, PER_ACCOUNT, timer)

    def take(self, network: str, account: str | None) -> bool:
        """Count one login and return whether it is within a limit.

        `account` is what `known_account` returned for the browser. Where that account's limit is
        reached, the limit of unknown browsers applies, so a cookie planted by an attacker leaves
        its victim no worse off than without one.
        """
        if account is not None and self.known.take(account):
            return True
        return self.strangers.take(network)

    def give_back(self, network: str, account: str | None) -> None:
        """Stop counting a login of an unknown browser that has succeeded."""
        if account is None:
            self.strangers.give_back(network)


def seal_known(account_id: str, now: datetime, encryption: Encryption) -> str:
    """Return the value of KNOWN_COOKIE: the SHA-256 of the account's id and the time, encrypted."""
    return encryption.seal(orjson.dumps([fingerprint(account_id).hex(), now]).decode()).decode()


def known_account(cookie: str | None, now: datetime, encryption: Encryption) -> str | None:
    """Return the hashed account id of a cookie; None if the cookie is not valid."""
    if not cookie:
        return None
    try:
        account, made_at = orjson.loads(encryption.open(cookie.encode()))
    except (DecryptionFailed, UnicodeEncodeError):
        return None
    is_valid = -SKEW <= now - datetime.fromisoformat(made_at) < KNOWN_LIFE
    return str(account) if is_valid else None
