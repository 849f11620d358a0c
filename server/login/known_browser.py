"""Browsers that have logged in before, told from strangers by a sealed cookie.

It opens nothing: it only says that a login of an admitted account was completed in this browser,
so that strangers' logins cannot keep that account out.
"""

from datetime import datetime, timedelta

import orjson

from server.encryption import Encryption
from server.errors import Unreadable
from server.login.attempt import SKEW, fingerprint

COOKIE = "known"
LIFE = timedelta(days=365)


def seal(account_id: str, now: datetime, encryption: Encryption) -> str:
    """Return the cookie's value: the SHA-256 of the account's id, and the time."""
    return encryption.seal(orjson.dumps([fingerprint(account_id).hex(), now]).decode()).decode()


def account_of(cookie: str | None, now: datetime, encryption: Encryption) -> str | None:
    """Return the account that a cookie was made for, hashed; None if it is not valid."""
    if not cookie:
        return None
    try:
        account, made_at = orjson.loads(encryption.open(cookie.encode()))
    except (Unreadable, UnicodeEncodeError):
        return None
    is_valid = -SKEW <= now - datetime.fromisoformat(made_at) < LIFE
    return str(account) if is_valid else None
