"""Metrics as Prometheus reads them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from server.app.application import Application
from server.following import list_store
from server.spotify.auth import token_store
from server.spotify.profile import Profile
from server.spotify.types import Grant
from tests.support.client import Client
from tests.support.paths import ROOT
from tests.support.waiting import until


async def log_in(freshet: Application, when: datetime) -> None:
    """As another process would: this one only hears of it."""
    grant = Grant("BQaccess", 3600, "AQrefresh", ("user-follow-read",))
    profile = Profile("account-1", "listener", "Robin")
    encryption = freshet.upstream.encryption
    await freshet.database.run(token_store.record_consent, profile, grant, when, encryption)


async def samples_of(freshet: Application) -> dict[str, float]:
    answer = await Client(freshet).fetch("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return {
        sample.name + "".join(f"[{value}]" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
    }


OPERATING = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")


def rows() -> dict[str, tuple[str, ...]]:
    """The table of metrics in docs/operating.md: type, labels and sentence by name."""
    body = OPERATING.split("| metric | type | labels | |", 1)[1].split("\n\n", 1)[0]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in body.splitlines()[2:]]
    return {name.strip("`"): tuple(others) for name, *others in cells}


async def complete(start_standin: Any, start_freshet: Any) -> Application:
    """A server that has something to tell with each of its metrics."""
    freshet: Application = await start_freshet(start_standin())
    await until(lambda: b"freshet_sync_seconds_count" in freshet.metrics.text())
    await until(freshet.listener.listening.is_set)
    await log_in(freshet, datetime.now(UTC) - timedelta(days=10))
    await until(lambda: freshet.consent_monitor.consent)
    await freshet.upstream_status.load()
    await freshet.database.run(list_store.record_followed, "account-1", [], datetime.now(UTC))
    await until(lambda: freshet.status.read().followed_list.read_at)
    await Client(freshet).fetch("/api/artists/?limit=1")
    return freshet
