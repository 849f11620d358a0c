"""Reads the part of the Dockerfile language that ours uses."""

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Step:
    """One instruction, its continued lines joined by a blank."""

    word: str
    text: str


def steps(file: Path) -> list[Step]:
    """Return all instructions, in order."""
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line[:1] != "#"]
    text = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [Step(*line.split(" ", 1)) for line in text.splitlines() if line.strip()]
