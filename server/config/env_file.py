"""Writes `.env`: inserts values into its text, shows the difference, replaces it in one step."""

import os
import re
import tempfile
from collections.abc import Mapping
from io import StringIO
from pathlib import Path

from dotenv.parser import parse_stream

from server.config.private_files import PRIVATE

PLAIN = re.compile(r"[\w.:/@,+=*\[\]-]+", re.ASCII)  # read alike by dotenv, shells and systemd
MASK = "********"


def compose(text: str, values: Mapping[str, str]) -> str:
    """Return the text of a `.env` with these values, by upper-case name.

    A line that sets one of the names is replaced, later lines of the same name are removed, and
    names without a line are added at the end. Everything else is unchanged.
    """
    left = dict(values)
    parts = []
    for line in parse_stream(StringIO(text)):
        whole, name = line.original.string, (line.key or "").upper()
        if name in left:
            blank = whole[: len(whole) - len(whole.lstrip())]
            parts.append(f"{blank}{name}={quoted(left.pop(name))}\n")
        elif name not in values:
            parts.append(whole)
    if left and parts and not parts[-1].endswith("\n"):
        parts.append("\n")
    return "".join(parts) + "".join(f"{name}={quoted(left[name])}\n" for name in left)


def quoted(value: str) -> str:
    """Return a value in quotes where dotenv needs them to read it back."""
    if not value or PLAIN.fullmatch(value):
        return value
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def difference(
    before: Mapping[str, str], values: Mapping[str, str], secret: frozenset[str]
) -> list[str]:
    """Return the lines that change, old with `-` and new with `+`; `secret` names are masked."""
    lines = []
    for name, value in values.items():
        old = before.get(name, "")
        if old != value:
            shown = (MASK if name in secret and each else each for each in (old, value))
            lines += [f"{sign} {name}={each}" for sign, each in zip("-+", shown, strict=True)]
    return lines


def write(path: Path, text: str) -> None:
    """Replace a file in one step, readable only by its owner. Raises OSError."""
    path = Path(os.path.realpath(path))
    handle, name = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
    fresh = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            os.fchmod(handle, PRIVATE)
            if path.exists() and os.geteuid() == 0:
                owner = path.stat()
                os.fchown(handle, owner.st_uid, owner.st_gid)
            file.write(text)
            file.flush()
            os.fsync(handle)
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
