"""One login that has begun: its state, its PKCE verifier, and where it is to end.

It lives in a sealed cookie of the browser that began it, so that no other browser can end it and
the server need not remember it. Source: RFC 6749 section 10.12, RFC 7636, RFC 9700 section 4.7.
"""

import hashlib
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import quote, unquote

import orjson

from server.encryption import Encryption
from server.errors import Unreadable

LIFE = timedelta(minutes=10)
SKEW = timedelta(minutes=1)  # by which the clocks of two hosts may differ
LONGEST_NEXT = 300  # characters; a few such cookies have to fit into a proxy's 8 kB of header
HOME = "/"
UNQUOTED = "/?#[]@!$&'()*+,;=:%~"  # what an address is made of (RFC 3986 section 2.2)


@dataclass(frozen=True)
class Attempt:
    """`state` and `verifier` are 256 random bits each, masked in `repr`; `next` is a local path."""

    next: str
    begun_at: datetime
    state: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)

    @property
    def challenge(self) -> str:
        """The S256 code challenge (RFC 7636 section 4.2)."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return urlsafe_b64encode(digest).decode().rstrip("=")

    def is_timely(self, now: datetime) -> bool:
        """Whether it was begun in the last ten minutes."""
        return -SKEW <= now - self.begun_at < LIFE


def fingerprint(secret: str) -> bytes:
    """What may be stored of a state or a session's token (SHA-256)."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def seal(attempt: Attempt, encryption: Encryption) -> str:
    """The cookie's value."""
    content = [attempt.state, attempt.verifier, attempt.next, attempt.begun_at]
    return encryption.seal(orjson.dumps(content).decode()).decode()


def unseal(cookie: str, encryption: Encryption) -> Attempt | None:
    """The attempt in a cookie; None if it is not one that we have sealed."""
    try:
        state, verifier, target, begun_at = orjson.loads(encryption.open(cookie.encode()))
    except (Unreadable, UnicodeEncodeError):
        return None
    return Attempt(target, datetime.fromisoformat(begun_at), state, verifier)


def local_path(target: str) -> str:
    """`target`, written in ASCII, if it is a path on this server; else `/`.

    So a login leads nowhere else. Browsers take a backslash for a slash and skip tabs and line
    breaks, so none may be in it; what begins with two slashes names a host; dots lead out of a
    PUBLIC_URL with a path; and a way back into the login would never end.
    """
    if not target.isprintable() or "\\" in target or not target.startswith("/"):
        return HOME
    target = quote(target, safe=UNQUOTED)
    if target.startswith("//") or len(target) > LONGEST_NEXT:
        return HOME
    steps = unquote(target.partition("?")[0].partition("#")[0]).split("/")
    return HOME if steps[1] == "auth" or {".", ".."} & set(steps) else target
