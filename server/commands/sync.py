"""`manage.py sync`: sync once, with a progress bar on a terminal."""

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import click

from server.app.upstream import announce_nothing, make_syncer, one_off
from server.config import settings as config
from server.config.settings import Settings
from server.errors import FreshetError
from server.observability import log
from server.request_errors import SyncRunning
from server.sync.report import Report

EXIT_CODES = {"complete": 0, "partial": 3, "failed": 1}


def sync_once(source: str | None) -> int:
    """Sync, print the report, and return the exit code. Raises FreshetError."""
    settings = config.load(Settings, sync_source=source)
    log.configure(settings.log_format, "critical", sys.stderr)
    try:
        report = asyncio.run(_sync(settings))
    except SyncRunning as running:
        raise FreshetError(f"another process is syncing. {running}") from running
    click.echo(describe(report))
    return EXIT_CODES[report.outcome]


async def _sync(settings: Settings) -> Report:
    async with one_off(settings) as (database, upstream):
        syncer = make_syncer(settings, database, upstream, announce_nothing)
        with click.progressbar(
            length=settings.sync_max_releases,
            label="Syncing",
            file=sys.stderr,
            hidden=not sys.stderr.isatty(),
        ) as bar:
            return await syncer.sync(_progress(bar), "interactive")


def _progress(bar: Any) -> Callable[[int, int | None], None]:
    def show(seen: int, total: int | None) -> None:
        bar.length = min(bar.length, total) if total else bar.length
        bar.update(min(seen, bar.length) - bar.pos)

    return show


def describe(report: Report) -> str:
    """Return a report in words."""
    calls = f"{report.calls} call{'' if report.calls == 1 else 's'}, {report.duration_ms} ms"
    if report.outcome == "failed":
        return f"The sync failed: {report.error} ({calls})."
    text = (
        f"The sync from {report.source} is {report.outcome}: {report.seen} releases seen, "
        f"{report.added} added, {report.updated} updated, {report.gone} gone, "
        f"{report.skipped} skipped ({calls})."
    )
    return f"{text}\nMissing: {report.error}" if report.error else text
