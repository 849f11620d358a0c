"""What the documents tell people to type, and where their links lead."""

import re
from pathlib import Path

from tests.support.paths import ROOT

GUIDES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
COMMENTED = [  # files whose comments name commands, in backticks as everywhere
    ROOT / ".env.example",
    ROOT / "docker-compose.yml",
    *sorted(
        each for each in (ROOT / "deploy").rglob("*") if each.is_file() and each.suffix != ".json"
    ),
]
FENCE = re.compile(r"^```(.*)\n((?:.*\n)*?)```$", re.MULTILINE)
# What a command in a sentence begins with; others are values, headers or code.
PROGRAMS = (
    "(python3?|make|docker|curl|git|ssh|apt|npm|pip|pg_dump|pg_restore|psql|createdb|install|uname|"
    "getconf|umask|export|mkdir|cp|systemctl|systemd-[a-z]+|nginx|haproxy|varnishd|caddy|"
    "promtool) [^=]|"
    r"python manage\.py|ALEMBIC_CONFIG="
)


def text(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def blocks(file: Path) -> list[tuple[str, str]]:
    """Return each fenced block of a guide: its language and its text."""
    return FENCE.findall(text(file))


def normal(command: str) -> str:
    """Return a command without its comment, on one line, whichever way its program is named."""
    command = re.sub(r"(^| +)# .*", "", " ".join(command.split())).removeprefix("$ ")
    command = re.sub(r"(?<!/)\.venv/bin/python", "python", command.removeprefix("… "))
    return re.sub(r"^(?:manage\.py |run (?=--))", _manage, command)


def _manage(found: re.Match[str]) -> str:
    return "python manage.py " + ("run " if found[0].startswith("run") else "")


def commands(file: Path) -> list[str]:
    """Return each command of a file in its normal form: those of its blocks, then of its text."""
    found = []
    for language, block in blocks(file):
        lines = block.replace("\\\n", "").splitlines()
        if language == "console":
            found += [normal(line) for line in lines if line.startswith("$ ")]
        elif language == "sh":
            found += [normal(line) for line in lines]
    prose = FENCE.sub("", text(file)) + "\n".join(_comments(file))
    inline = [normal(span) for span in re.findall(r"`([^`]+)`", prose)]
    return [each for each in found if each] + [each for each in inline if re.match(PROGRAMS, each)]


def _comments(file: Path) -> list[str]:
    """Return the comments of a guide's commands, which name further ones."""
    shell = (block for language, block in blocks(file) if language == "sh")
    return [each for block in shell for each in re.findall(r" # (.*)", block)]


def links(file: Path) -> list[str]:
    """Return the targets of the links within the repository."""
    prose = re.sub(r"`[^`]*`", "", FENCE.sub("", text(file)))
    return [each for each in re.findall(r"\]\(([^)\s]+)\)", prose) if "://" not in each]


def anchors(file: Path) -> set[str]:
    """Return the fragments that GitHub makes of a file's headings."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text(file)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


def paths(file: Path) -> set[str]:
    """Return the files and folders of the repository that the text names in backticks."""
    return set(
        re.findall(r"`((?:docs|deploy|tests|alembic|server|handlers|models)/[\w./-]*)`", text(file))
    )
