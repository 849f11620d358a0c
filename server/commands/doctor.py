"""`manage.py doctor`: print what is wrong, and how to fix it."""

import asyncio
import sys

from server.doctor import examine
from server.doctor.report import report
from server.observability import log


def print_report() -> int:
    """Make all checks, print their findings, and return the exit code."""
    log.configure(None, "critical", sys.stderr)
    return asyncio.run(report(examine()))
