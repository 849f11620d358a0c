"""One change as it is told: as JSON, and as an event of a stream. Pure."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import orjson

from server.catalog.snapshot import TIMES


@dataclass(frozen=True)
class Entry:
    """An entry of the journal; `json` is the object that clients get."""

    seq: int
    kind: str
    json: bytes

    @classmethod
    def of(cls, change: dict[str, Any]) -> Self:
        """A change as the journal has it."""
        return cls(change["seq"], change["kind"], orjson.dumps(change, option=TIMES))

    @cached_property
    def event(self) -> bytes:
        """It as a server-sent event, made once for all listeners.

        Source: html.spec.whatwg.org, section 9.2.5. JSON has no line breaks of its own.
        """
        return b"id: %d\nevent: %s\ndata: %s\n\n" % (self.seq, self.kind.encode(), self.json)
