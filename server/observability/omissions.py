"""Logs releases and artists that had to be left out of responses."""

from collections.abc import Sequence
from typing import Any, Protocol

import structlog

SHOWN = 10  # ids per log line

log = structlog.get_logger()


class Omission(Protocol):
    """An item that was left out of a response, and the error that it raised."""

    @property
    def item(self) -> Any:
        """An entry, a row or an object of the API."""

    @property
    def error(self) -> Exception:
        """What building the response from it raised."""


class Omissions:
    """Logs each omission (`item_left_out`) once per path, until `clear`."""

    def __init__(self) -> None:
        self._logged: set[tuple[str, str]] = set()

    def log(self, path: str, left_out: Sequence[Omission]) -> None:
        """Log the items left out of a response to `path`, except those logged before."""
        new = [each for each in left_out if (path, id_of(each.item)) not in self._logged]
        if new:
            self._logged |= {(path, id_of(each.item)) for each in new}
            log_left_out(path, new)

    def clear(self) -> None:
        """Allow all omissions to be logged again, because the data has changed."""
        self._logged = set()


def log_left_out(place: str, left_out: Sequence[Omission]) -> None:
    """Log the items left out of `place` in one line, with the traceback of the first."""
    if left_out:
        ids = [id_of(each.item) for each in left_out]
        log.error(
            "item_left_out",
            place=place,
            spotify_ids=ids[:SHOWN],
            count=len(ids),
            exc_info=left_out[0].error,
        )


def id_of(item: Any) -> str:
    """Return the Spotify id of an entry, a row, or an object of the API."""
    return str(item["spotify_id"] if isinstance(item, dict) else item.spotify_id)
