"""What of the API is deprecated: the place where that is declared, and the headers for it. Pure.

Sources: RFC 9745 (`Deprecation`), RFC 8594 (`Sunset`). Users read docs/api-stability.md.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from email.utils import format_datetime
from urllib.parse import parse_qsl

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Deprecation:
    """Something that clients should stop using, at the `paths` of the description.

    That is a query `parameter`, or a `field` of the responses (as `Album.name`), or the paths
    themselves. It is deprecated from the day `since`, and may be removed from the day `sunset`
    (UTC). `instead` is a sentence that says what to use; `link` is the URL that explains it, or its
    path on this server.
    """

    paths: tuple[str, ...]
    since: date
    sunset: date
    instead: str
    link: str
    parameter: str | None = None
    field: str | None = None

    def __post_init__(self) -> None:
        """Raise ValueError if the days are in the wrong order (RFC 9745 section 4)."""
        if self.sunset < self.since:
            raise ValueError(f"The sunset of {self.paths} is before its deprecation.")


# The changelog names each one, under Deprecated.
DEPRECATED: tuple[Deprecation, ...] = ()


class Deprecations:
    """The headers of responses that have something deprecated; `root` is the URL of the server.

    A response has them if its path or one of its fields is deprecated, or if its request has a
    deprecated parameter.
    """

    def __init__(self, declared: Sequence[Deprecation] = DEPRECATED, root: str = "") -> None:
        self.declared = tuple(declared)
        self._root = root
        self._by_pattern = [
            (re.compile("|".join(map(_pattern, each.paths))), each) for each in self.declared
        ]

    def headers(self, path: str, query_string: str) -> Headers:
        """Return the headers for a request; the earliest days, and a link for each deprecation."""
        if not self._by_pattern:
            return ()
        names = {name for name, _ in parse_qsl(query_string, keep_blank_values=True)}
        found = [
            each
            for pattern, each in self._by_pattern
            if pattern.fullmatch(path) and (each.parameter is None or each.parameter in names)
        ]
        if not found:
            return ()
        since, sunset = min(each.since for each in found), min(each.sunset for each in found)
        links = dict.fromkeys(self._root * each.link.startswith("/") + each.link for each in found)
        return (
            ("Deprecation", f"@{int(_midnight(since).timestamp())}"),
            ("Sunset", format_datetime(_midnight(sunset), usegmt=True)),
            ("Link", ", ".join(f'<{link}>; rel="deprecation"' for link in links)),
        )


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _pattern(path: str) -> str:
    """Return a path of the description as a pattern; its final slash is optional."""
    parts = re.split(r"\{\w+\}", path.rstrip("/"))
    return "[^/]+".join(map(re.escape, parts)) + "/?"
