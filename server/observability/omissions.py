"""The log of releases and artists that had to be left out of what is served."""

from collections.abc import Sequence
from typing import Any

import structlog

from server.catalog.isolation import LeftOut

SHOWN = 10  # ids that one line of the log names

log = structlog.get_logger()


class Omissions:
    """Log each omission (`item_left_out`) once for each path, until `clear`."""

    def __init__(self) -> None:
        self._logged: set[tuple[str, str]] = set()

    def log(self, path: str, left_out: Sequence[LeftOut]) -> None:
        """Log what was left out of an answer under `path`."""
        new = [each for each in left_out if (path, id_of(each.item)) not in self._logged]
        if new:
            self._logged |= {(path, id_of(each.item)) for each in new}
            log_left_out(path, new)

    def clear(self) -> None:
        """Log everything again: there is other data."""
        self._logged = set()


def log_left_out(place: str, left_out: Sequence[LeftOut]) -> None:
    """Log what was left out of `place`, in one line, with the traceback of the first."""
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
    """Spotify's id of an entry, a row, or an object of the API."""
    return str(item["spotify_id"] if isinstance(item, dict) else item.spotify_id)
