"""One line of the report."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """One line of the report; only a fault makes the command fail."""

    level: Literal["ok", "note", "fault"]
    about: str
    text: str
    mend: str | None = None
