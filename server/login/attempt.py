"""A login in progress: its state, its PKCE verifier, and the path that it returns to.

It is stored in an encrypted cookie of the browser that started it, so that no other browser can
complete it and the server keeps no record of it. Source: RFC 6749 section 10.12, RFC 7636, RFC 9700
section 4.7.
"""

import hashlib
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import quote, unquote

import orjson

from server.encryption import Encryption
from server.errors import DecryptionFailed

LIFE = timedelta(minutes=10)
SKEW = timedelta(minutes=1)  # tolerated difference between the clocks of two hosts
LONGEST_NEXT = 300  # characters; several such cookies must fit into a proxy's 8 kB of headers
HOME = "/"
UNQUOTED = "/?#[]@!$&'()*+,;=:%~"  # reserved (RFC 3986 section 2.2), % and ~


@dataclass(frozen=True)
class Attempt:
    """One login: `state` and `verifier` are 256 random bits each; `next` is a local path."""

    next: str
    started_at: datetime
    state: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)

    @property
    def challenge(self) -> str:
        """The S256 code challenge (RFC 7636 section 4.2)."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return urlsafe_b64encode(digest).decode().rstrip("=")

    def is_timely(self, now: datetime) -> bool:
        """Return whether the login was started in the last ten minutes."""
        return -SKEW <= now - self.started_at < LIFE


def fingerprint(secret: str) -> bytes:
    """Return the SHA-256 of a state or of a session's token, which is what may be stored of it."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def seal(attempt: Attempt, encryption: Encryption) -> str:
    """Return the attempt encrypted, as the value of its cookie."""
    content = [attempt.state, attempt.verifier, attempt.next, attempt.started_at]
    return encryption.seal(orjson.dumps(content).decode()).decode()


def unseal(cookie: str, encryption: Encryption) -> Attempt | None:
    """Return the attempt in a cookie; None if the cookie was not made by `seal`."""
    try:
        state, verifier, target, started_at = orjson.loads(encryption.open(cookie.encode()))
    except (DecryptionFailed, UnicodeEncodeError):
        return None
    return Attempt(target, datetime.fromisoformat(started_at), state, verifier)


def local_path(target: str, longest: int = LONGEST_NEXT) -> str:
    """Return `target` in ASCII if it is a path on this server, and `/` otherwise.

    This prevents open redirects. Browsers treat a backslash as a slash and skip tabs and line
    breaks, so targets with these are rejected; two leading slashes name a host; dot segments leave
    a PUBLIC_URL that has a path; and a target inside `/auth` would loop. One of over `longest`
    characters is rejected too.
    """
    if not target.isprintable() or "\\" in target or not target.startswith("/"):
        return HOME
    target = quote(target, safe=UNQUOTED)
    if target.startswith("//") or len(target) > longest:
        return HOME
    steps = unquote(target.partition("?")[0].partition("#")[0]).split("/")
    return HOME if steps[1] == "auth" or {".", ".."} & set(steps) else target
