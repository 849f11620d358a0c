"""The report of `manage.py doctor`: its findings, printed as they are found."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal

import click


@dataclass(frozen=True)
class Finding:
    """One line of the report: a fault, a note, or that all is well; `fix` says what to do."""

    level: Literal["ok", "note", "fault"]
    about: str
    text: str
    fix: str | None = None


async def report(findings: AsyncIterator[Finding]) -> int:
    """Print the findings; return the exit code, which is 1 if any of them is a fault, else 0."""
    code = 0
    async for finding in findings:
        click.echo(f"{finding.level:5}  {finding.about:13} {finding.text}")
        if finding.fix:
            click.echo(f"{'':21}-> {finding.fix}")
        code = code or int(finding.level == "fault")
    return code
