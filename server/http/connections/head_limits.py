"""Limits of a request: bytes of its head and body, header lines, and seconds for each. Pure.

16 KiB for a head are twice nginx's and Apache's default for one line, and Node.js' limit for a
whole head; browsers send about 1 kB. One read takes it all, and parsing it takes under 2 ms.
"""

import re
from dataclasses import dataclass

MAX_HEAD_BYTES = 16 * 1024
MAX_LINE_BYTES = 8 * 1024  # of the request line (RFC 9112 section 3: at least 8000)
MAX_FIELDS = 100  # header lines; parsing one costs as much as 100 bytes
MAX_NAME_BYTES = 256  # of a header: Tornado caches 1000 names for ever
HEAD_SECONDS = 10  # from the first byte of a head to its last
BODY_SECONDS = 10.0
IDLE_SECONDS = 75  # a connection may wait this long for its next request
MAX_BODY_BYTES = 16 * 1024  # the largest body that a route takes is an address
MAX_CHUNKS = 100  # of a body; reading a chunk costs as much as 1000 bytes

END_OF_HEAD = re.compile(rb"\n\r?\n")  # as Tornado does
LONG_LINE = re.compile(rb"[\r\n]{0,4}[^\r\n]{%d}" % (MAX_LINE_BYTES + 1))
LONG_NAME = re.compile(rb"\n[^\r\n:]{%d}" % (MAX_NAME_BYTES + 1))


@dataclass(frozen=True, slots=True)
class RequestFault:
    """A reason to refuse a request before any handler sees it; `reason` ends a sentence."""

    status: int
    reason: str


LINE_TOO_LONG = RequestFault(414, f"the request line is longer than {MAX_LINE_BYTES} bytes")
HEAD_TOO_LARGE = RequestFault(431, f"the head is larger than {MAX_HEAD_BYTES} bytes")
TOO_MANY_FIELDS = RequestFault(431, f"the head has more than {MAX_FIELDS} header lines")
NAME_TOO_LONG = RequestFault(431, f"the name of a header is longer than {MAX_NAME_BYTES} bytes")
HEAD_TOO_SLOW = RequestFault(408, f"the head did not arrive within {HEAD_SECONDS} seconds")
NO_CHUNK = RequestFault(400, "a chunk of the body has no size")
BODY_TOO_LARGE = RequestFault(413, f"the body is larger than {MAX_BODY_BYTES} bytes")
TOO_MANY_CHUNKS = RequestFault(413, f"the body has more than {MAX_CHUNKS} chunks")
BODY_TOO_SLOW = RequestFault(408, f"the body did not arrive within {BODY_SECONDS:.0f} seconds")


def end_of_head(data: bytes | bytearray, known: int = 0) -> int | None:
    """Return the offset at which the first head ends, None if it is incomplete.

    The first `known` bytes have been searched before.
    """
    end = END_OF_HEAD.search(data, max(known - 3, 0))
    return None if end is None else end.end()


def fault_of(head: bytes | bytearray) -> RequestFault | None:
    """Return the limit that a complete head, or the start of one that is too large, breaks."""
    if LONG_LINE.match(head):
        return LINE_TOO_LONG
    if len(head) > MAX_HEAD_BYTES:
        return HEAD_TOO_LARGE
    if head.count(b"\n") > MAX_FIELDS + 2:  # plus the request line and the blank line
        return TOO_MANY_FIELDS
    return NAME_TOO_LONG if LONG_NAME.search(head) else None


def request_line(head: bytes | bytearray) -> tuple[str, str]:
    """Return method and target of a head that may be incomplete, for the log.

    Returns two empty strings if it has no valid request line.
    """
    line = bytes(head[: MAX_LINE_BYTES + 4]).lstrip(b"\r\n").partition(b"\n")[0]
    method, _, rest = line.decode("latin-1").partition(" ")
    target = rest.partition(" ")[0]
    is_one = method.isalpha() and method.isupper() and len(method) < 20 and target
    return (method, target) if is_one else ("", "")
