"""The report of `manage.py doctor`, printed as its findings come."""

import click

from server.doctor.run import examine


async def report() -> int:
    """Print the findings; return 1 if one of them is a fault, else 0."""
    code = 0
    async for finding in examine():
        click.echo(f"{finding.level:5}  {finding.about:13} {finding.text}")
        if finding.mend:
            click.echo(f"{'':21}-> {finding.mend}")
        code = code or int(finding.level == "fault")
    return code
