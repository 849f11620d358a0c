"""One change as it is told: as JSON, as an event of a stream, on a page. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import orjson

from server.catalog import payload
from server.catalog.payload import Payload


@dataclass(frozen=True)
class Entry:
    """An entry of the journal; `json` is the object that clients get."""

    seq: int
    kind: str
    json: bytes

    @cached_property
    def event(self) -> bytes:
        """It as a server-sent event, made once for all listeners.

        Source: html.spec.whatwg.org, section 9.2.5. JSON has no line breaks of its own.
        """
        return b"id: %d\nevent: %s\ndata: %s\n\n" % (self.seq, self.kind.encode(), self.json)


def page(entries: Sequence[Entry], after: int) -> Payload:
    """The answer with what comes `after` a seq, ready to send; caches have to ask each time."""
    content = {
        "items": [orjson.Fragment(entry.json) for entry in entries],
        "next_after": entries[-1].seq if entries else after,
    }
    headers = payload.headers_of(payload.JSON, "no-cache", payload.LINK)
    return Payload(payload.represent(orjson.dumps(content), headers))
